/** What one processor did for a request or for its answer; never content. */
export interface Processed {
  readonly processor: string
  /** Absent: the request. */
  readonly on?: 'response'
  /** `refused`: the request was; `blocked`: the answer. */
  readonly outcome:
    | 'unchanged'
    | 'changed'
    | 'flagged'
    | 'refused'
    | 'blocked'
    | 'failed_open'
    | 'failed_closed'
  readonly durationMs: number
  /** Values that were replaced. */
  readonly values: number
}

/** What processors did for a request and its answer. */
export interface ProcessedContent {
  readonly steps: Processed[]
  /** Values that were put back into the answer. */
  restored: number
  /** Words in the response that look like pseudonyms but match no value. */
  unknown: number
  /** Citations in the answer whose offsets were removed, because the adjusted ones cannot be told. */
  lostOffsets?: number
  /** Of an answer that was blocked before its upstream had ended it: bytes of the stream that had come. */
  cutBytes?: number
}
