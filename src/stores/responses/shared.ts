import type { ResponseStore } from '../../sdk/response-store.ts'

/**
 * A store that others share, and one of this process that takes its place while it cannot be reached. What was kept
 * here meanwhile is found here later too. Never rejects because of the shared one.
 */
export function withLocalResponses(shared: ResponseStore, local: ResponseStore): ResponseStore {
  return {
    find: async (id) => (await orUndefined(shared.find(id))) ?? local.find(id),
    async keep(id, stored) {
      try {
        await shared.keep(id, stored)
      } catch {
        await local.keep(id, stored) // the shared store has told the log
      }
    },
    async remove(id) {
      const here = await local.remove(id)
      const there = await orUndefined(shared.remove(id))
      return here || there === true
    },
  }
}

async function orUndefined<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found
  } catch {
    return undefined // likewise
  }
}
