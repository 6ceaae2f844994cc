/** Names an answer: what it can be removed by, and the digest of the request that it answers. */
export interface AnswerKey {
  readonly model: string
  /** Empty: it is shared, or nobody is asked for a key. */
  readonly client: string
  readonly digest: string
}

/** What is to be removed; without members all. */
export interface AnswerFilter {
  readonly model?: string | undefined
  readonly client?: string | undefined
}

export interface KeepOptions {
  ttlMs: number
  /** When the request came, in milliseconds since 1970: what was asked for before a removal is not kept after it. */
  askedAt: number
}

/** What this process knows of the size of the store. */
export interface AnswerSizes {
  answers: number
  bytes: number
  /** Answers that had to make room. */
  evicted: number
}

/** Answers by the requests that they answer, bounded. Rejects only when the store cannot be reached. */
export interface AnswerStore {
  find(key: AnswerKey): Promise<string | undefined>
  keep(key: AnswerKey, answer: string, options: KeepOptions): Promise<void>
  /** Gives the number of removed answers. */
  remove(filter: AnswerFilter): Promise<number>
  /** Undefined: another process or Redis keeps them, and it is not known. */
  sizes(): AnswerSizes | undefined
  close(): Promise<void>
}
