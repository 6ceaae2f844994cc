import { randomBytes } from 'node:crypto'
import type { QueuedRequest } from '../../src/plugins/balancer/lease-queue.ts'
import type { LeaseRequest, LeaseStore, StoredLease } from '../../src/stores/leases/store.ts'

interface Wish {
  model: string
  store: LeaseStore
  /** The places that the request would accept now. */
  targets(): LeaseRequest['targets']
  signal?: AbortSignal
  isComplete?: boolean
  client?: string
  weight?: number
}

/** A request for one of these places, as the balancer makes it. */
export function storedRequest(wish: Wish): QueuedRequest<StoredLease> {
  const { model, store, targets, signal = new AbortController().signal, isComplete = true } = wish
  const { client = 'client', weight = 1 } = wish
  const key = randomBytes(12).toString('hex')
  let asked: LeaseRequest | undefined
  return {
    ...{ client, weight, isComplete, signal },
    deadlineAt: undefined,
    async take() {
      asked = { key, model, targets: targets(), affinity: false, complete: isComplete }
      return store.acquire(asked)
    },
    giveBack: (lease) => void store.release(lease),
    left() {
      if (asked) void store.abandon(asked)
    },
  }
}
