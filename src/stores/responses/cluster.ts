import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { type ResponseBounds, ResponseTable } from './memory.ts'
import { type ResponseStore, storedResponse } from './store.ts'

const find = topic<string, string | undefined>('response.find')
/** A request rather than a cast, because a response must be stored before its client can continue it. */
const put = topic<{ id: string; json: string }>('response.put', { afterExit: true })
const remove = topic<string, boolean>('response.remove', { afterExit: true })

/** The worker's side: the primary keeps responses for all workers of the host. They outlive a worker, but not the primary. */
export function clusterResponses(primary: Channel): ResponseStore {
  return {
    async find(id) {
      const json = await primary.request(find, id)
      return json === undefined ? undefined : storedResponse(json)
    },
    put: (id, stored) => primary.request(put, { id, json: JSON.stringify(stored) }),
    remove: (id) => primary.request(remove, id),
    close: async () => undefined,
  }
}

/** The primary's side: one table for all workers. `now`: monotonic milliseconds. */
export function serveResponses(workers: WorkerChannels, bounds: ResponseBounds, now: () => number): void {
  const table = new ResponseTable(bounds, now)
  workers.on(find, (id) => table.find(id))
  workers.on(put, ({ id, json }) => table.put(id, json))
  workers.on(remove, (id) => table.remove(id))
}
