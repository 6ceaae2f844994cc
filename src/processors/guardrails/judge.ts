/** What a guardrail says of contents. */
export type Judgement = 'safe' | 'unsafe'

/** Judges contents together, as one request has them. Rejects where it has failed. */
export type Judge = (contents: readonly string[], signal: AbortSignal) => Promise<Judgement>
