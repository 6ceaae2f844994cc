import type { LimitEnd, LimitStore, LimitVerdict, LimitWish } from '../core/key-limits.ts'
import { LimitTable } from './limit-table.ts'
import type { ProcessPipe } from './primary-pipe.ts'

/** Who sent a message is known by its pipe, so none names its worker. */
export type LimitMessage =
  | { limit: 'admit'; ask: number; wish: LimitWish }
  | { limit: 'verdict'; ask: number; verdict: LimitVerdict }
  | { limit: 'leave'; end: LimitEnd }

export type LimitPipe = ProcessPipe<LimitMessage>

/** What the keys of a worker's requests use, counted by the primary for all workers. Rejects when it cannot be reached. */
export function primaryLimits(pipe: LimitPipe): LimitStore {
  const asked = new Map<number, (verdict: LimitVerdict) => void>()
  let last = 0
  pipe.onMessage((message) => {
    if (!isLimitMessage(message) || message.limit !== 'verdict') return
    asked.get(message.ask)?.(message.verdict)
    asked.delete(message.ask)
  })
  return {
    admit(wish) {
      const ask = ++last
      const { promise, resolve, reject } = Promise.withResolvers<LimitVerdict>()
      asked.set(ask, resolve)
      // A worker ends with its primary, so a question that was sent is answered or nobody waits for it.
      if (!trySend(pipe, { limit: 'admit', ask, wish })) {
        asked.delete(ask)
        reject(new Error('the primary cannot be reached'))
      }
      return promise
    },
    async leave(end) {
      trySend(pipe, { limit: 'leave', end })
    },
    close: async () => undefined,
  }
}

/** The primary's side: the one table for all workers. */
export class LimitDesk {
  readonly #table: LimitTable
  readonly #workers = new Set<string>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#table = new LimitTable(now)
  }

  addWorker(owner: string, pipe: LimitPipe): void {
    this.#workers.add(owner)
    pipe.onMessage((message) => {
      // What a dead worker still had in its pipe must not take a place for it.
      if (!isLimitMessage(message) || !this.#workers.has(owner)) return
      if (message.limit === 'leave') this.#table.leave(message.end)
      if (message.limit === 'admit') {
        const verdict = this.#table.admit(owner, message.wish)
        trySend(pipe, { limit: 'verdict', ask: message.ask, verdict })
      }
    })
  }

  /** A worker has ended, and its requests with it. */
  removeWorker(owner: string): void {
    this.#workers.delete(owner)
    this.#table.leaveAll(owner)
  }
}

/** Both ends run the same version of this file, so the tag says all. */
function isLimitMessage(message: unknown): message is LimitMessage {
  return typeof message === 'object' && message !== null && 'limit' in message
}

function trySend(pipe: LimitPipe, message: LimitMessage): boolean {
  try {
    return pipe.send(message)
  } catch {
    return false // closed: the process at its other end is gone
  }
}
