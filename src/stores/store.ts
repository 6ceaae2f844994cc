/** The log of a store, which a plugin or a process without plugins provides. */
export interface StoreLog {
  info(message: string): void
  warn(details: object, message: string): void
}

/** The store is unreachable. */
export class StoreDownError extends Error {
  constructor(cause?: unknown) {
    super('the store cannot be reached', { cause })
    this.name = 'StoreDownError'
  }
}

/** The store is reachable, but holds data that it cannot use for this call; others may succeed. */
export class StoreDataError extends StoreDownError {}
