import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import type { FairQueueOptions, OfferResult, Ticket } from './fair-queue.ts'
import { LocalQueue, type RequestQueue } from './local.ts'

interface Entry {
  model: string
  /** Id of the ticket within its worker. */
  id: number
  client: string
  weight: number
  offers: boolean
}

const enter = topic<Entry>('queue.enter')
const leave = topic<Pick<Entry, 'model' | 'id'>>('queue.leave')
const wake = topic<string>('queue.wake', { isHint: true })
/** The timeout is short, because a hung worker must not delay requests of the others. */
const offer = topic<number, OfferResult>('queue.offer', { timeoutMs: 500 })
const waiting = topic<{ model: string; isWaiting: boolean }>('queue.waiting')
const waitingNow = topic<void, string[]>('queue.waiting-now')

/** The worker's side: the primary orders the waiting requests of all workers. */
export function clusterQueue(primary: Channel): RequestQueue {
  const ids = new Map<Ticket, number>()
  const tickets = new Map<number, Ticket>()
  const modelsWithWaiting = new Set<string>()
  let lastId = 0
  primary.on(offer, async (id) => (await tickets.get(id)?.offer()) ?? 'gone')
  primary.on(waiting, ({ model, isWaiting }) => {
    if (isWaiting) modelsWithWaiting.add(model)
    else modelsWithWaiting.delete(model)
  })
  // Loads the state that was broadcast before this worker started.
  primary.request(waitingNow).then(
    (models) => models.forEach((model) => void modelsWithWaiting.add(model)),
    () => undefined,
  )
  return {
    enter(model, ticket, offers) {
      const id = ++lastId
      ids.set(ticket, id)
      tickets.set(id, ticket)
      const { client, weight } = ticket
      primary.cast(enter, { model, id, client, weight, offers })
    },
    leave(model, ticket) {
      const id = ids.get(ticket)
      if (id === undefined) return
      ids.delete(ticket)
      tickets.delete(id)
      primary.cast(leave, { model, id })
    },
    wake: (model) => void primary.cast(wake, model),
    isWaiting: (model) => modelsWithWaiting.has(model),
  }
}

/** The primary's side: orders the waiting requests of all workers, and removes those of exited ones. */
export function serveQueue(workers: WorkerChannels, options: FairQueueOptions): void {
  const queue = new LocalQueue(options)
  const waitingIn = new Map<string, Map<number, { model: string; ticket: Ticket }>>()
  const broadcastChange = (model: string, before: boolean): void => {
    const isWaiting = queue.isWaiting(model)
    if (isWaiting !== before) workers.broadcast(waiting, { model, isWaiting })
  }
  const end = (worker: string, id: number): void => {
    const entry = waitingIn.get(worker)?.get(id)
    if (!entry) return
    const { model, ticket } = entry
    waitingIn.get(worker)?.delete(id)
    const before = queue.isWaiting(model)
    queue.leave(model, ticket)
    broadcastChange(model, before)
  }
  workers.on(enter, ({ model, id, client, weight, offers }, worker) => {
    let hungUntil = Number.NEGATIVE_INFINITY
    const ticket: Ticket = {
      client,
      weight,
      async offer() {
        if (performance.now() < hungUntil) return 'passed'
        try {
          return await worker.request(offer, id)
        } catch {
          hungUntil = performance.now() + hungWorkerMs
          return 'passed'
        }
      },
    }
    const entries = waitingIn.get(worker.id) ?? new Map()
    waitingIn.set(worker.id, entries.set(id, { model, ticket }))
    const before = queue.isWaiting(model)
    queue.enter(model, ticket, offers)
    broadcastChange(model, before)
  })
  workers.on(leave, ({ id }, worker) => end(worker.id, id))
  workers.on(wake, (model) => queue.wake(model))
  workers.on(waitingNow, () => queue.models())
  workers.onExit(({ id: worker }) => {
    for (const id of [...(waitingIn.get(worker)?.keys() ?? [])]) end(worker, id)
    waitingIn.delete(worker)
  })
}

/** Time for which requests of a worker that did not respond to an offer are skipped, in milliseconds. */
const hungWorkerMs = 2_000
