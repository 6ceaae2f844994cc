import type { ResponseStore } from '../../sdk/response-store.ts'

/** What one client has kept, and nothing of others': an answer of somebody else is as if it were not there. */
export function ownedResponses(store: ResponseStore, owner: string): ResponseStore {
  const own = (id: string): string => `${owner}/${id}`
  return {
    find: (id) => store.find(own(id)),
    keep: (id, stored) => store.keep(own(id), stored),
    remove: (id) => store.remove(own(id)),
  }
}
