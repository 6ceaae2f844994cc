/** What one processor did for a request; never content. */
export interface Processed {
  readonly processor: string
  readonly outcome: 'unchanged' | 'changed' | 'flagged' | 'refused' | 'failed_open' | 'failed_closed'
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
}
