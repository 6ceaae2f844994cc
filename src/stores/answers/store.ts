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

export interface KeepOptions {
  ttlMs: number
  /** Time of the request, in milliseconds since 1970. A response whose request is older than the last removal is not stored. */
  askedAt: number
}

/** Sizes of the store, as known to this process. */
export interface AnswerSizes {
  answers: number
  bytes: number
  /** Number of responses evicted since startup. */
  evicted: number
}

/** A bounded store of responses by request. Rejects only if the store is unreachable. */
export interface AnswerStore {
  find(key: AnswerKey): Promise<string | undefined>
  keep(key: AnswerKey, answer: string, options: KeepOptions): Promise<void>
  /** Resolves to the number of removed responses. */
  remove(filter: AnswerFilter): Promise<number>
  /** Undefined if unknown, because another process or Redis stores them. */
  sizes(): AnswerSizes | undefined
  close(): Promise<void>
}
