import {
  type LeaseStore,
  type LeaseWish,
  noLeaseCounts,
  StoreDownError,
  type StoredLease,
} from '../../sdk/lease-store.ts'
import type { ProcessPipe } from '../link.ts'
import { LeaseTable } from './table.ts'

export type LeasePipe = ProcessPipe<LeaseMessage>

/** Who sent a message is known by its pipe, so none names its worker. */
export type LeaseMessage =
  | { lease: 'acquire'; id: number; wish: LeaseWish }
  | { lease: 'answer'; id: number; granted: StoredLease | undefined }
  | { lease: 'release' | 'abandon'; model: string; key: string }
  | { lease: 'freed'; model: string }

/** Leases of a worker, held by the primary for all workers of the machine. */
export function primaryLeases(pipe: LeasePipe): LeaseStore {
  const asked = new Map<number, (granted: StoredLease | undefined) => void>()
  const listeners: ((model: string) => void)[] = []
  const held = new Map<string, StoredLease>()
  let lastId = 0
  const hear = (message: unknown): void => {
    if (!isLeaseMessage(message)) return
    if (message.lease === 'freed') for (const listener of listeners) listener(message.model)
    if (message.lease !== 'answer') return
    asked.get(message.id)?.(message.granted)
    asked.delete(message.id)
  }
  const end = async (how: 'release' | 'abandon', { key, model }: { key: string; model: string }) => {
    held.delete(key)
    trySend(pipe, { lease: how, key, model })
  }
  pipe.onMessage(hear)
  return {
    counts: noLeaseCounts(),
    // Hints do not get lost here, but a worker that hangs while its turn has come tells nobody.
    pollMs: { min: 100, max: 300 },
    async acquire(wish) {
      const id = ++lastId
      const { promise, resolve } = Promise.withResolvers<StoredLease | undefined>()
      asked.set(id, resolve)
      if (!trySend(pipe, { lease: 'acquire', id, wish })) {
        asked.delete(id)
        throw new StoreDownError()
      }
      const granted = await promise
      if (granted) held.set(granted.key, granted)
      return granted
    },
    release: (lease) => end('release', lease),
    abandon: (wish) => end('abandon', wish),
    onFreed: (listener) => {
      listeners.push(listener)
    },
    async close() {
      for (const lease of [...held.values()]) await end('release', lease)
    },
  }
}

/** The primary's side: the one table, and a pipe for each living worker. */
export class LeaseDesk {
  readonly #table: LeaseTable
  readonly #pipes = new Map<string, LeasePipe>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#table = new LeaseTable(now)
  }

  addWorker(owner: string, pipe: LeasePipe): void {
    this.#pipes.set(owner, pipe)
    pipe.onMessage((message) => {
      // What a dead worker still had in its pipe must not take anything for it.
      if (isLeaseMessage(message) && this.#pipes.has(owner)) this.#serve(owner, pipe, message)
    })
  }

  /** A worker has ended: what it held is free from now on. */
  removeWorker(owner: string): void {
    this.#pipes.delete(owner)
    for (const model of this.#table.releaseOwner(owner)) this.#tellAll(model)
  }

  #serve(owner: string, pipe: LeasePipe, message: LeaseMessage): void {
    switch (message.lease) {
      case 'acquire': {
        const granted = this.#table.acquire(owner, message.wish)
        trySend(pipe, { lease: 'answer', id: message.id, granted })
        return
      }
      case 'release':
        if (this.#table.release(owner, message.model, message.key)) this.#tellAll(message.model)
        return
      case 'abandon':
        this.#table.abandon(owner, message.model, message.key)
        this.#tellAll(message.model)
        return
      case 'answer':
      case 'freed':
        return
    }
  }

  #tellAll(model: string): void {
    for (const pipe of this.#pipes.values()) trySend(pipe, { lease: 'freed', model })
  }
}

/** Both ends run the same version of this file, so the tag says all. */
function isLeaseMessage(message: unknown): message is LeaseMessage {
  return typeof message === 'object' && message !== null && 'lease' in message
}

function trySend(pipe: LeasePipe, message: LeaseMessage): boolean {
  try {
    return pipe.send(message)
  } catch {
    // The pipe is closed: the process at its other end is gone, and whoever notices its end cleans up.
    return false
  }
}
