import type { ProcessPipe } from '../stores/link.ts'

/** What a worker says of itself, and whether that is older than the question: it was too busy to answer. */
export interface RoundPart<Part> {
  part: Part
  late: boolean
}

/** Who sent a message is known by its pipe, so none names its worker. `round`: what is asked about. */
export type RoundMessage<Part> =
  /** From a worker: it can be asked from now on. */
  | { round: string; does: 'join'; part: Part }
  /** From a worker that wants what all say. Answered by `collected`. */
  | { round: string; does: 'collect'; ask: number }
  | { round: string; does: 'collected'; ask: number; parts: RoundPart<Part>[] }
  /** To each worker. Answered by `given`. */
  | { round: string; does: 'give'; number: number }
  | { round: string; does: 'given'; number: number; part: Part }

/** Longest wait of a worker for its primary, in milliseconds; longer than a round takes at most. */
const answerMs = 2_000
/** Longest wait of the primary for a worker that is busy, in milliseconds. */
const roundMs = 500

/**
 * A worker's side. `read` gives what it says of itself; a plain object. Gives the way to ask all living workers, this one
 * too, which rejects when the primary does not answer.
 */
export function primaryRounds<Part>(
  pipe: ProcessPipe<RoundMessage<Part>>,
  round: string,
  read: () => Part,
): () => Promise<RoundPart<Part>[]> {
  const asked = new Map<number, (parts: RoundPart<Part>[]) => void>()
  let last = 0
  pipe.onMessage((message) => {
    if (!isRoundMessage<Part>(message, round)) return
    if (message.does === 'give') trySend(pipe, { round, does: 'given', number: message.number, part: read() })
    if (message.does === 'collected') asked.get(message.ask)?.(message.parts)
  })
  trySend(pipe, { round, does: 'join', part: read() })
  return async () => {
    const ask = ++last
    const { promise, resolve, reject } = Promise.withResolvers<RoundPart<Part>[]>()
    asked.set(ask, resolve)
    const timer = setTimeout(() => reject(new Error('the primary does not answer')), answerMs)
    try {
      if (!trySend(pipe, { round, does: 'collect', ask })) throw new Error('the primary cannot be reached')
      return await promise
    } finally {
      clearTimeout(timer)
      asked.delete(ask)
    }
  }
}

interface Desk<Part> {
  pipe: ProcessPipe<RoundMessage<Part>>
  /** What it said last. */
  part: Part
  waiting: Map<number, (late: boolean) => void>
}

/** The primary's side: asks the living workers whenever one of them wants to know. */
export class RoundDesk<Part> {
  readonly #round: string
  readonly #workers = new Map<string, Desk<Part>>()
  readonly #living = new Set<string>()
  #number = 0

  constructor(round: string) {
    this.#round = round
  }

  addWorker(owner: string, pipe: ProcessPipe<RoundMessage<Part>>): void {
    this.#living.add(owner)
    pipe.onMessage((message) => {
      // What a dead worker still had in its pipe must not bring it back.
      if (!isRoundMessage<Part>(message, this.#round) || !this.#living.has(owner)) return
      if (message.does === 'join') {
        this.#workers.set(owner, { pipe, part: message.part, waiting: new Map() })
        return
      }
      const desk = this.#workers.get(owner)
      if (desk) this.#hear(desk, message)
    })
  }

  /** It has ended; messages of it may still come. */
  removeWorker(owner: string): void {
    this.#living.delete(owner)
    const desk = this.#workers.get(owner)
    this.#workers.delete(owner)
    for (const answer of desk?.waiting.values() ?? []) answer(true)
  }

  #hear(desk: Desk<Part>, message: RoundMessage<Part>): void {
    if (message.does === 'given') {
      desk.part = message.part
      desk.waiting.get(message.number)?.(false)
    } else if (message.does === 'collect') {
      const round = this.#round
      void this.#collect().then((parts) =>
        trySend(desk.pipe, { round, does: 'collected', ask: message.ask, parts }),
      )
    }
  }

  async #collect(): Promise<RoundPart<Part>[]> {
    const number = ++this.#number
    const asked = [...this.#workers]
    const late = await Promise.all(asked.map(([, desk]) => this.#ask(desk, number)))
    // One that has ended meanwhile says nothing.
    return asked.flatMap(([owner, { part }], index) =>
      this.#workers.has(owner) ? [{ part, late: late[index] === true }] : [],
    )
  }

  async #ask({ pipe, waiting }: Desk<Part>, number: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    waiting.set(number, resolve)
    const timer = setTimeout(() => resolve(true), roundMs)
    if (!trySend(pipe, { round: this.#round, does: 'give', number })) resolve(true)
    const late = await promise
    clearTimeout(timer)
    waiting.delete(number)
    return late
  }
}

/** Both ends run the same version of this file, so the tag says all. */
function isRoundMessage<Part>(message: unknown, round: string): message is RoundMessage<Part> {
  return typeof message === 'object' && message !== null && 'round' in message && message.round === round
}

function trySend<Part>(pipe: ProcessPipe<RoundMessage<Part>>, message: RoundMessage<Part>): boolean {
  try {
    return pipe.send(message)
  } catch {
    return false // closed: the process at its other end is gone
  }
}
