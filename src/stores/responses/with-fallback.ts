import type { ResponseStore } from './store.ts'

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
