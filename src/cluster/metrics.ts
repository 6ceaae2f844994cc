import type { ProcessPipe } from '../stores/link.ts'
import { addCounts, countsOf, type MetricFamily } from './metric-sums.ts'

/** Who sent a message is known by its pipe, so none names its worker. */
export type MetricsMessage =
  /** From a worker: what it has counted so far. Answered by `kept`. */
  | { metrics: 'keep'; ask: number; families: MetricFamily[] }
  | { metrics: 'kept'; ask: number }
  /** From a worker that wants the numbers of all. Answered by `collected`. */
  | { metrics: 'collect'; ask: number }
  | { metrics: 'collected'; ask: number; parts: MetricFamily[][] }
  /** To each worker: its numbers are wanted. Answered by `given`. */
  | { metrics: 'give'; round: number }
  | { metrics: 'given'; round: number; families: MetricFamily[] }

/** Longest wait of a worker for its primary, in milliseconds; longer than a round takes at most. */
const answerMs = 3_000
/** Longest wait of the primary for the numbers of a worker that is busy, in milliseconds. */
const roundMs = 1_000

export interface PrimaryMetrics {
  /** Leaves what was counted here with the primary, where it outlives this process. */
  keep(): Promise<void>
  /** The numbers of each living worker, this one too, and the counts of the dead ones. */
  collect(): Promise<MetricFamily[][]>
}

/** A worker's side. `read` gives its own numbers. Both methods reject when the primary does not answer. */
export function primaryMetrics(
  pipe: ProcessPipe<MetricsMessage>,
  read: () => Promise<MetricFamily[]>,
): PrimaryMetrics {
  const asked = new Map<number, (answer: MetricsMessage) => void>()
  let last = 0
  const ask = async (question: (ask: number) => MetricsMessage): Promise<MetricsMessage> => {
    const number = ++last
    const { promise, resolve, reject } = Promise.withResolvers<MetricsMessage>()
    asked.set(number, resolve)
    const timer = setTimeout(() => reject(new Error('the primary does not answer')), answerMs)
    try {
      if (!trySend(pipe, question(number))) throw new Error('the primary cannot be reached')
      return await promise
    } finally {
      clearTimeout(timer)
      asked.delete(number)
    }
  }
  const give = async (round: number): Promise<void> => {
    trySend(pipe, { metrics: 'given', round, families: await read() })
  }
  pipe.onMessage((message) => {
    if (!isMetricsMessage(message)) return
    // A worker whose numbers cannot be read gives none, and the primary goes on without.
    if (message.metrics === 'give') give(message.round).catch(() => undefined)
    else if (message.metrics === 'kept' || message.metrics === 'collected') asked.get(message.ask)?.(message)
  })
  return {
    async keep() {
      const families = countsOf(await read())
      await ask((number) => ({ metrics: 'keep', ask: number, families }))
    },
    async collect() {
      const answer = await ask((number) => ({ metrics: 'collect', ask: number }))
      return answer.metrics === 'collected' ? answer.parts : []
    },
  }
}

interface Desk {
  pipe: ProcessPipe<MetricsMessage>
  /** What it has counted, as far as it was told. */
  counts: MetricFamily[]
  /** Fulfilled with the numbers for a round. */
  given: Map<number, (families: MetricFamily[]) => void>
}

/**
 * The primary's side: the numbers of all workers, living and dead. A worker's counts are kept each time that they are
 * asked for, so the sums that were once seen never go down.
 */
export class MetricsDesk {
  readonly #workers = new Map<string, Desk>()
  #ofTheDead: MetricFamily[] = []
  #round = 0

  addWorker(owner: string, pipe: ProcessPipe<MetricsMessage>): void {
    const desk: Desk = { pipe, counts: [], given: new Map() }
    this.#workers.set(owner, desk)
    pipe.onMessage((message) => {
      if (isMetricsMessage(message) && this.#workers.has(owner)) this.#hear(desk, message)
    })
  }

  /** No message of it will come any more. */
  removeWorker(owner: string): void {
    const desk = this.#workers.get(owner)
    if (!desk) return
    this.#workers.delete(owner)
    this.#ofTheDead = addCounts(this.#ofTheDead, desk.counts)
    for (const give of desk.given.values()) give([])
  }

  #hear(desk: Desk, message: MetricsMessage): void {
    switch (message.metrics) {
      case 'keep':
        desk.counts = message.families
        trySend(desk.pipe, { metrics: 'kept', ask: message.ask })
        return
      case 'given':
        desk.counts = countsOf(message.families)
        desk.given.get(message.round)?.(message.families)
        return
      case 'collect':
        void this.#collect().then((parts) =>
          trySend(desk.pipe, { metrics: 'collected', ask: message.ask, parts }),
        )
        return
      case 'kept':
      case 'collected':
      case 'give':
        return
    }
  }

  async #collect(): Promise<MetricFamily[][]> {
    const round = ++this.#round
    const parts = await Promise.all([...this.#workers.values()].map((desk) => askDesk(desk, round)))
    return [...parts, this.#ofTheDead]
  }
}

/** One that is too busy to answer is there with its last known counts. */
async function askDesk(desk: Desk, round: number): Promise<MetricFamily[]> {
  const { promise, resolve } = Promise.withResolvers<MetricFamily[]>()
  desk.given.set(round, resolve)
  const timer = setTimeout(() => resolve(desk.counts), roundMs)
  if (!trySend(desk.pipe, { metrics: 'give', round })) resolve(desk.counts)
  const families = await promise
  clearTimeout(timer)
  desk.given.delete(round)
  return families
}

/** Both ends run the same version of this file, so the tag says all. */
function isMetricsMessage(message: unknown): message is MetricsMessage {
  return typeof message === 'object' && message !== null && 'metrics' in message
}

function trySend(pipe: ProcessPipe<MetricsMessage>, message: MetricsMessage): boolean {
  try {
    return pipe.send(message)
  } catch {
    return false // closed: the process at its other end is gone
  }
}
