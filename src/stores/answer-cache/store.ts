import { hrtime } from 'node:process'

/** Identifies a response: the digest of its request, and the names by which it can be removed. */
export interface AnswerKey {
  readonly model: string
  /** Empty if the response is shared by clients, or no client keys are required. */
  readonly client: string
  readonly digest: string
}

/** Selects responses to remove; without members, all. */
export interface AnswerFilter {
  readonly model?: string | undefined
  readonly client?: string | undefined
}

export interface PutOptions {
  ttlMs: number
  /** Time of the request by `answerClock`. A response whose request is older than the last removal is not stored. */
  requestedAt: number
}

/**
 * Milliseconds of a monotonic clock that all processes of a host share, unlike that of `performance.now()`: when the wall clock
 * is set back, responses neither outlive their `ttlMs`, nor are they older than a removal.
 */
export function answerClock(): number {
  return Number(hrtime.bigint()) / 1e6
}

/** Sizes of the store, as known to this process. */
export interface AnswerSizes {
  answers: number
  bytes: number
  /** Number of responses evicted since startup. */
  evicted: number
}

/** A bounded store of responses by request. Rejects only if the store is unreachable. */
export interface AnswerCache {
  find(key: AnswerKey): Promise<string | undefined>
  put(key: AnswerKey, answer: string, options: PutOptions): Promise<void>
  /** Resolves to the number of removed responses. */
  remove(filter: AnswerFilter): Promise<number>
  /** Undefined if unknown, because another process or Redis stores them. */
  sizes(): AnswerSizes | undefined
  close(): Promise<void>
}
