import { parseCarried } from '../../lib/json/exact.ts'

/** A response of the Responses API, with everything needed to continue it. */
export interface StoredResponse {
  /** The whole `response` object, as `GET /v1/responses/{id}` returns it. */
  response: Record<string, unknown>
  /** Input items of the request, including those of earlier turns, oldest first. */
  input: Record<string, unknown>[]
  /** Set if a server stores the response itself; `response` and `input` are then empty. */
  heldBy?: ResponseHolder
}

/** The target that created a response, and the model as the client named it. */
export interface ResponseHolder {
  model: string
  target: string
  askedModel: string
  /** Set for a background response whose tokens have not been counted yet, because they were unknown when it was created. */
  isUncounted?: boolean
}

/** Integers of tools and schemas keep all their digits. */
export function storedResponse(json: string): StoredResponse {
  return parseCarried(json) as StoredResponse // written by the store
}

/** Lifetime of an announcement, in milliseconds. */
export const announcementMs = 60_000

/**
 * Stores responses for `previous_response_id`. Bounded: a response may be evicted at any time, and expires after the store's
 * time to live. Of all owners (see {@link ownerOf}), the one with the most responses or bytes loses its least recently used
 * response, so nobody can evict the responses of an owner with less than an equal share. Each operation is atomic per id, and
 * once the promise of `put` is fulfilled, the response can be found. Rejects only if the store itself cannot be reached.
 */
export interface ResponseStore {
  /** Resolves to a copy; undefined if there is none. Counts as a use, but does not extend the time to live. */
  find(id: string): Promise<StoredResponse | undefined>
  /**
   * Announces that a response with this id will be stored within a minute, so that `find` and `remove` wait for it in any
   * process, and its client does not have to wait for `put`. Absent if storing takes no time.
   */
  announce?(id: string): Promise<void>
  /** Replaces a response with the same id. */
  put(id: string, stored: StoredResponse): Promise<void>
  /** Returns whether it existed. */
  remove(id: string): Promise<boolean>
  close(): Promise<void>
}

/** The owner of a response: its id up to the first slash; empty without a slash. */
export function ownerOf(id: string): string {
  return id.slice(0, Math.max(0, id.indexOf('/')))
}

/** Age up to which an announcement is relied on, in milliseconds; an older one may expire before the response is stored. */
const trustedMs = announcementMs * 0.75

/**
 * Combines a shared store with one of this process, which is used while the shared one is unavailable. Responses stored in this
 * process in the meantime can be found by it later. Never rejects because of the shared store.
 */
export function responsesWithFallback(
  shared: ResponseStore,
  local: ResponseStore,
  now = (): number => performance.now(),
): ResponseStore {
  /** Oldest first. */
  const announced = new Map<string, { at: number; isKnown: Promise<boolean> }>()
  const pendingWrites = new Set<Promise<void>>()
  const putOrFallBack = async (id: string, stored: StoredResponse): Promise<void> => {
    try {
      await shared.put(id, stored)
    } catch {
      await local.put(id, stored) // logged by the shared store
    }
  }
  const announce = async (id: string): Promise<void> => {
    const at = now()
    // Removes old announcements, because announced responses are often never completed.
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
    async put(id, stored) {
      const announcement = announced.get(id)
      announced.delete(id)
      const write = putOrFallBack(id, stored).finally(() => pendingWrites.delete(write))
      pendingWrites.add(write)
      const isTrusted = announcement !== undefined && now() - announcement.at < trustedMs
      if (!(isTrusted && (await announcement.isKnown))) await write
    },
    async remove(id) {
      const existedLocally = await local.remove(id)
      const existedInShared = await orUndefined(shared.remove(id))
      return existedLocally || existedInShared === true
    },
    async close() {
      await Promise.allSettled(pendingWrites)
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
