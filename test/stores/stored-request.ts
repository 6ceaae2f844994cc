import { randomBytes } from 'node:crypto'
import type { QueuedRequest } from '../../src/plugins/balancer/lease-queue.ts'
import type { LeaseRequest, LeaseStore, StoredLease } from '../../src/stores/leases/store.ts'

interface RequestOptions {
  model: string
  store: LeaseStore
  /** The targets that the request would accept now. */
  targets(): LeaseRequest['targets']
  signal?: AbortSignal
  isComplete?: boolean
  client?: string
  weight?: number
}

/** A request for one of these targets, as the balancer makes it. */
export function storedRequest(options: RequestOptions): QueuedRequest<StoredLease> {
  const { model, store, targets, signal = new AbortController().signal, isComplete = true } = options
  const { client = 'client', weight = 1 } = options
  const key = randomBytes(12).toString('hex')
  let asked: LeaseRequest | undefined
  return {
    client,
    weight,
    isComplete,
    signal,
    deadlineAt: undefined,
    async take() {
      asked = { key, model, targets: targets(), affinity: false, complete: isComplete }
      return store.acquire(asked)
    },
    returnSlot: (lease) => void store.release(lease),
    onAbandoned() {
      if (asked) void store.abandon(asked)
    },
  }
}
