/** A response of the Responses API, with all that the next turn needs to continue it. */
export interface StoredResponse {
  /** The whole `response` object, as `GET /v1/responses/{id}` returns it. */
  response: Record<string, unknown>
  /** The input items that it answers, including those of earlier turns, oldest first. */
  input: Record<string, unknown>[]
}

/**
 * Stores responses for `previous_response_id`. Bounded: a response may be evicted at any time, and is gone after the store's
 * time to live. What `find` returns is the caller's own copy. Each operation is atomic for its id, and `keep` has happened
 * when its promise is fulfilled. Rejects only when the store itself cannot be reached.
 */
export interface ResponseStore {
  /** Undefined when there is none. A find counts as a use; it does not prolong the time to live. */
  find(id: string): Promise<StoredResponse | undefined>
  /** Replaces a response with the same id. */
  keep(id: string, stored: StoredResponse): Promise<void>
  /** Whether there was one. */
  remove(id: string): Promise<boolean>
  close(): Promise<void>
}

/**
 * A store that several processes share, and one of this process that is used while the shared one cannot be reached. What
 * was kept here meanwhile is still found here later. Never rejects because of the shared store.
 */
export function responsesWithFallback(shared: ResponseStore, local: ResponseStore): ResponseStore {
  return {
    find: async (id) => (await orUndefined(shared.find(id))) ?? local.find(id),
    async keep(id, stored) {
      try {
        await shared.keep(id, stored)
      } catch {
        await local.keep(id, stored) // logged by the shared store
      }
    },
    async remove(id) {
      const here = await local.remove(id)
      const there = await orUndefined(shared.remove(id))
      return here || there === true
    },
    close: () => shared.close(),
  }
}

async function orUndefined<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found
  } catch {
    return undefined // logged by the shared store
  }
}
