import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { AnswerTable } from './memory.ts'
import {
  type AnswerCache,
  type AnswerFilter,
  type AnswerKey,
  type AnswerSizes,
  answerClock,
  type PutOptions,
} from './store.ts'

/** Timeout of the primary, in milliseconds, after which a request counts as a miss. */
const timeoutMs = 1_000

const find = topic<AnswerKey, string | undefined>('answer.find', { timeoutMs })
const put = topic<{ key: AnswerKey; answer: string; options: PutOptions }, AnswerSizes>('answer.put', {
  timeoutMs,
})
const remove = topic<AnswerFilter, { removed: number; sizes: AnswerSizes }>('answer.remove')

/**
 * The worker's side: the primary keeps cached responses for all workers of the host. They outlive a worker, but not the
 * primary.
 */
export function clusterAnswers(primary: Channel): AnswerCache {
  let sizes: AnswerSizes | undefined
  return {
    find: (key) => primary.request(find, key),
    async put(key, answer, options) {
      sizes = await primary.request(put, { key, answer, options })
    },
    async remove(filter) {
      const result = await primary.request(remove, filter)
      sizes = result.sizes
      return result.removed
    },
    sizes: () => sizes,
    close: async () => undefined,
  }
}

/** The primary's side: one table for all workers. */
export function serveAnswers(workers: WorkerChannels, maxBytes: number): void {
  const table = new AnswerTable(maxBytes, answerClock)
  workers.on(find, (key) => table.find(key))
  workers.on(put, ({ key, answer, options }) => {
    table.put(key, answer, options)
    return table.sizes
  })
  workers.on(remove, (filter) => ({ removed: table.remove(filter), sizes: table.sizes }))
}
