import type {
  LimitDemand,
  LimitEnd,
  LimitReservation,
  LimitStore,
  LimitVerdict,
  LimitWish,
} from '../../sdk/limit-store.ts'
import type { ProcessPipe } from '../link.ts'
import { LimitTable } from './table.ts'

/** Who sent a message is known by its pipe, so none names its worker. */
export type LimitMessage =
  | { limit: 'admit'; ask: number; wish: LimitWish }
  | { limit: 'verdict'; ask: number; verdict: LimitVerdict }
  | { limit: 'reserve'; ask: number; demand: LimitDemand }
  | { limit: 'reservation'; ask: number; reservation: LimitReservation }
  | { limit: 'leave'; end: LimitEnd }

export type LimitPipe = ProcessPipe<LimitMessage>

/** What the keys of a worker's requests use, counted by the primary for all workers. Rejects when it cannot be reached. */
export function primaryLimits(pipe: LimitPipe): LimitStore {
  const admissions = new Questions<LimitVerdict>()
  const reservations = new Questions<LimitReservation>()
  pipe.onMessage((message) => {
    if (!isLimitMessage(message)) return
    if (message.limit === 'verdict') admissions.answered(message.ask, message.verdict)
    if (message.limit === 'reservation') reservations.answered(message.ask, message.reservation)
  })
  return {
    admit: (wish) => admissions.ask((ask) => trySend(pipe, { limit: 'admit', ask, wish })),
    reserve: (demand) => reservations.ask((ask) => trySend(pipe, { limit: 'reserve', ask, demand })),
    async leave(end) {
      trySend(pipe, { limit: 'leave', end })
    },
    close: async () => undefined,
  }
}

/** What was asked and is not answered yet. A worker ends with its primary, so what was sent is answered or nobody waits for it. */
class Questions<Answer> {
  readonly #asked = new Map<number, (answer: Answer) => void>()
  #last = 0

  /** Rejects where it cannot be sent. */
  ask(send: (ask: number) => boolean): Promise<Answer> {
    const ask = ++this.#last
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#asked.set(ask, resolve)
    if (!send(ask)) {
      this.#asked.delete(ask)
      reject(new Error('the primary cannot be reached'))
    }
    return promise
  }

  answered(ask: number, answer: Answer): void {
    this.#asked.get(ask)?.(answer)
    this.#asked.delete(ask)
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
      // What a dead worker still had in its pipe must not take a slot for it.
      if (!isLimitMessage(message) || !this.#workers.has(owner)) return
      if (message.limit === 'leave') this.#table.leave(message.end)
      if (message.limit === 'admit') {
        const verdict = this.#table.admit(owner, message.wish)
        trySend(pipe, { limit: 'verdict', ask: message.ask, verdict })
      }
      if (message.limit === 'reserve') {
        const reservation = this.#table.reserve(owner, message.demand)
        trySend(pipe, { limit: 'reservation', ask: message.ask, reservation })
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
