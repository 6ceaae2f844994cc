import type { Worker } from 'node:cluster'
import { topic } from '../lib/channel.ts'

/** Delay before a crashed worker is restarted, in milliseconds: doubles with each crash, from the first to the maximum. */
const firstDelayMs = 1_000
const maxDelayMs = 30_000
/** Uptime after which a worker's crash count is reset, in milliseconds. */
const steadyMs = 60_000
/** Maximum time without a ready worker before the primary exits, in milliseconds. */
const noneReadyMs = 60_000

/** Exit code for an invalid configuration, which a restart cannot fix. */
const invalidConfigCode = 2

/** From a worker: it accepts requests. */
export const ready = topic('worker.ready')

export interface WorkerEnd {
  worker: Worker
  code: number | null
  signal: string | null
  /** Undefined: it is not restarted. */
  restartInMs: number | undefined
}

export interface SupervisorOptions {
  /** Number of workers. */
  count: number
  fork(): Worker
  /** Called for each unexpected exit. */
  onEnd(end: WorkerEnd): void
  /** Called once when no worker runs any more, or the supervisor gives up. The primary must exit with `code`. */
  onFinish(code: number, why?: string): void
}

interface Slot {
  worker: Worker | undefined
  ready: boolean
  /** Consecutive crashes, without `steadyMs` of service between them. */
  crashes: number
  restart: NodeJS.Timeout | undefined
  steady: NodeJS.Timeout | undefined
  /** Signals that the worker gets once it can handle them. */
  pendingSignals: Set<NodeJS.Signals>
}

/**
 * Keeps a number of workers running. A worker that crashes is restarted after 1, 2, 4 ... 30 s, independently of the others.
 * Gives up only when every worker has crashed and none has ever become ready, or when none has been ready for a minute.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #slots: Slot[]
  #everReady = false
  #stopping = false
  #finished = false
  #noneReady: NodeJS.Timeout | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.count }, () => ({
      worker: undefined,
      ready: false,
      crashes: 0,
      restart: undefined,
      steady: undefined,
      pendingSignals: new Set(),
    }))
  }

  start(): void {
    for (const slot of this.#slots) this.#fork(slot)
  }

  /** Signals all workers and starts no more. Calls `onFinish` with `code` when the last one has exited. */
  stop(signal: 'SIGTERM' | 'SIGKILL', code = 0): void {
    this.#stopping = true
    clearTimeout(this.#noneReady)
    for (const slot of this.#slots) {
      clearTimeout(slot.restart)
      clearTimeout(slot.steady)
      slot.worker?.process.kill(signal)
    }
    if (this.#isEmpty()) this.#finish(code)
  }

  /** Sends a signal to all workers; to a starting one only once it is ready, because the signal would kill it before. */
  passOn(signal: NodeJS.Signals): void {
    for (const { worker, ready, pendingSignals } of this.#slots) {
      if (ready) worker?.process.kill(signal)
      else if (worker) pendingSignals.add(signal)
    }
  }

  /** To be called when the worker with this id accepts requests. */
  ready(id: number): void {
    const slot = this.#slots.find(({ worker }) => worker?.id === id)
    if (!slot) return
    this.#everReady = true
    slot.ready = true
    clearTimeout(this.#noneReady)
    this.#noneReady = undefined
    slot.steady = setTimeout(() => {
      slot.crashes = 0
    }, steadyMs)
    for (const signal of slot.pendingSignals) slot.worker?.process.kill(signal)
    slot.pendingSignals.clear()
  }

  #fork(slot: Slot): void {
    const worker = this.#options.fork()
    slot.worker = worker
    // Not `disconnect`, which may never be emitted for a killed worker.
    worker.once('exit', (code: number | null, signal: string | null) =>
      this.#ended(slot, worker, code, signal),
    )
  }

  #ended(slot: Slot, worker: Worker, code: number | null, signal: string | null): void {
    clearTimeout(slot.steady)
    slot.worker = undefined
    slot.ready = false
    slot.pendingSignals.clear()
    if (this.#stopping) {
      // A worker that exited as requested is not reported.
      if (signal === 'SIGKILL' || (code !== 0 && signal === null))
        this.#options.onEnd({ worker, code, signal, restartInMs: undefined })
      if (this.#isEmpty()) this.#finish(0)
      return
    }
    const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** slot.crashes++)
    const why = this.#everReady ? undefined : this.#startFailure(code)
    const restartInMs = why === undefined ? delayMs : undefined
    this.#options.onEnd({ worker, code, signal, restartInMs })
    if (why !== undefined) {
      this.#giveUp(why.code, why.text)
      return
    }
    slot.restart = setTimeout(() => this.#fork(slot), restartInMs)
    if (!this.#everReady || this.#slots.some(({ ready }) => ready)) return
    this.#noneReady ??= setTimeout(() => {
      this.#giveUp(1, `no worker has been ready for ${noneReadyMs / 1000} s; giving up`)
    }, noneReadyMs)
  }

  /** Returns why the start of the whole router has failed; undefined while it may still succeed. */
  #startFailure(code: number | null): { code: number; text?: string } | undefined {
    // The worker has logged the configuration error, which is the same for all.
    if (code === invalidConfigCode) return { code }
    if (this.#slots.some(({ crashes }) => crashes === 0)) return undefined
    return { code: 1, text: 'no worker could start; giving up' }
  }

  #giveUp(code: number, why?: string): void {
    if (this.#finished) return
    this.#finished = true
    this.#stopping = true
    for (const { worker, restart } of this.#slots) {
      clearTimeout(restart)
      worker?.process.kill('SIGTERM')
    }
    this.#options.onFinish(code, why)
  }

  #finish(code: number): void {
    if (this.#finished) return
    this.#finished = true
    this.#options.onFinish(code)
  }

  #isEmpty(): boolean {
    return this.#slots.every(({ worker }) => worker === undefined)
  }
}
