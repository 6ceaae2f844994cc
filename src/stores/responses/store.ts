/** A response of the Responses API, with all that the next turn needs to continue it. */
export interface StoredResponse {
  /** The whole `response` object, as `GET /v1/responses/{id}` returns it. */
  response: Record<string, unknown>
  /** The input items that it answers, including those of earlier turns, oldest first. */
  input: Record<string, unknown>[]
}

/** For how long an announcement holds, in milliseconds. */
export const announcedMs = 60_000

/**
 * Stores responses for `previous_response_id`. Bounded: a response may be evicted at any time, and is gone after the store's
 * time to live. What `find` returns is the caller's own copy. Each operation is atomic for its id, and when the promise of `keep`
 * is fulfilled, whoever asks for the response gets it. Rejects only when the store itself cannot be reached.
 */
export interface ResponseStore {
  /** Undefined when there is none. A find counts as a use; it does not prolong the time to live. */
  find(id: string): Promise<StoredResponse | undefined>
  /**
   * Says that a response with this id will be kept within a minute: `find` and `remove` then wait for it in any process, and nobody
   * has to wait for `keep`. Absent: that costs nothing anyway.
   */
  announce?(id: string): Promise<void>
  /** Replaces a response with the same id. */
  keep(id: string, stored: StoredResponse): Promise<void>
  /** Whether there was one. */
  remove(id: string): Promise<boolean>
  close(): Promise<void>
}

/** An announcement that is older may end before the response is there, in milliseconds. */
const trustedMs = announcedMs * 0.75

/**
 * A store that several processes share, and one of this process that is used while the shared one cannot be reached. What
 * was kept here meanwhile is still found here later. Never rejects because of the shared store.
 */
export function responsesWithFallback(
  shared: ResponseStore,
  local: ResponseStore,
  now = (): number => performance.now(),
): ResponseStore {
  /** The oldest first. */
  const announced = new Map<string, { at: number; isKnown: Promise<boolean> }>()
  const keeping = new Set<Promise<void>>()
  const keep = async (id: string, stored: StoredResponse): Promise<void> => {
    try {
      await shared.keep(id, stored)
    } catch {
      await local.keep(id, stored) // logged by the shared store
    }
  }
  const announce = async (id: string): Promise<void> => {
    const at = now()
    // Many an answer that was announced is never complete.
    for (const [other, { at: since }] of announced) {
      if (at - since < trustedMs) break
      announced.delete(other)
    }
    const isKnown = Promise.resolve(shared.announce?.(id)).then(
      () => true,
      () => false,
    )
    announced.set(id, { at, isKnown })
    await isKnown
  }
  return {
    find: async (id) => (await orUndefined(shared.find(id))) ?? local.find(id),
    ...(shared.announce ? { announce } : {}),
    async keep(id, stored) {
      const announcement = announced.get(id)
      announced.delete(id)
      const kept = keep(id, stored).finally(() => keeping.delete(kept))
      keeping.add(kept)
      const isTrusted = announcement !== undefined && now() - announcement.at < trustedMs
      if (!(isTrusted && (await announcement.isKnown))) await kept
    },
    async remove(id) {
      const here = await local.remove(id)
      const there = await orUndefined(shared.remove(id))
      return here || there === true
    },
    async close() {
      await Promise.allSettled(keeping)
      await shared.close()
    },
  }
}

async function orUndefined<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found
  } catch {
    return undefined // logged by the shared store
  }
}
