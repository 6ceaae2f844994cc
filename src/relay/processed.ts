/** What one processor did to a request or response, without any content. */
export interface Processed {
  readonly processor: string
  /** Absent: the request. */
  readonly on?: 'response'
  /** `refused` applies to the request, `blocked` to the response. */
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

/** What processors did to a request and its response. */
export interface ProcessedContent {
  readonly steps: Processed[]
  /** Values that were restored in the response. */
  restored: number
  /** Words in the response that look like pseudonyms but match no value. */
  unknown: number
  /** Citations whose offsets were removed, because the adjusted ones cannot be computed. */
  removedOffsets?: number
  /** Bytes received of a stream that was blocked before its end. */
  cutBytes?: number
}
