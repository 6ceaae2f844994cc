/** Identifies a response: by what it can be removed, and the digest of its request. */
export interface AnswerKey {
  readonly model: string
  /** Empty: shared between clients, or no keys are required. */
  readonly client: string
  readonly digest: string
}

/** Selects what to remove; without members, everything. */
export interface AnswerFilter {
  readonly model?: string | undefined
  readonly client?: string | undefined
}

export interface KeepOptions {
  ttlMs: number
  /** Time of the request, in milliseconds since 1970: a response to a request before a removal is not stored after it. */
  askedAt: number
}

/** Size of the store as known to this process. */
export interface AnswerSizes {
  answers: number
  bytes: number
  /** Evicted responses. */
  evicted: number
}

/** Bounded store of responses by request. Rejects only if the store cannot be reached. */
export interface AnswerStore {
  find(key: AnswerKey): Promise<string | undefined>
  keep(key: AnswerKey, answer: string, options: KeepOptions): Promise<void>
  /** Resolves to the number of removed responses. */
  remove(filter: AnswerFilter): Promise<number>
  /** Undefined if unknown because another process or Redis stores them. */
  sizes(): AnswerSizes | undefined
  close(): Promise<void>
}
