import type { ResponseStore } from '../../sdk/response-store.ts'
import { type ResponseBounds, ResponseTable } from './table.ts'

export interface MemoryResponseStoreOptions extends ResponseBounds {
  /** Milliseconds from any fixed point; must never go back. */
  now: () => number
}

/** Keeps answers in this process: lost with it, and not seen by other workers. The least recently used goes first. */
export function createMemoryResponseStore({ now, ...bounds }: MemoryResponseStoreOptions): ResponseStore {
  const table = new ResponseTable(bounds, now)
  return {
    async find(id) {
      const json = table.find(id)
      return json === undefined ? undefined : JSON.parse(json)
    },
    keep: async (id, stored) => table.keep(id, JSON.stringify(stored)),
    remove: async (id) => table.remove(id),
  }
}
