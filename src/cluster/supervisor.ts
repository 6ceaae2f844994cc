import type { Worker } from 'node:cluster'
import { topic } from '../lib/channel.ts'

/** Pause before a worker that crashed starts again, in milliseconds; doubles with each crash up to the last. */
const firstPauseMs = 1_000
const lastPauseMs = 30_000
/** Uptime after which a worker's crash count is reset, in milliseconds. */
const steadyMs = 60_000
/** Maximum time without a ready worker before the primary exits, in milliseconds. */
const noneReadyMs = 60_000

/** The exit code of a start that cannot succeed; starting again would not help. */
const invalidConfigCode = 2

/** A worker accepts requests. */
export const ready = topic('worker.ready')

export interface WorkerEnd {
  worker: Worker
  code: number | null
  signal: string | null
  /** Undefined: it is not restarted. */
  restartInMs: number | undefined
}

export interface SupervisorOptions {
  /** How many are to run. */
  count: number
  fork(): Worker
  /** Called for each end that was not asked for. */
  onEnd(end: WorkerEnd): void
  /** No worker runs any more, or none is worth waiting for: the primary is to end with `code`. Called once. */
  onFinish(code: number, why?: string): void
}

interface Slot {
  worker: Worker | undefined
  ready: boolean
  /** In a row, without a minute of service between them. */
  crashes: number
  restart: NodeJS.Timeout | undefined
  steady: NodeJS.Timeout | undefined
  /** Signals for a worker that cannot handle them yet. */
  missed: Set<NodeJS.Signals>
}

/**
 * Keeps a number of workers running. One that crashes is restarted after 1, 2, 4 ... 30 s, whatever the others do. It gives up
 * only when each worker has crashed and none has ever become ready, or when none has been ready for a minute: everything else
 * may recover, and until then the other workers serve.
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
      missed: new Set(),
    }))
  }

  start(): void {
    for (const slot of this.#slots) this.#fork(slot)
  }

  /** Ends the workers and starts no more; calls `onFinish` with `code` when the last one has ended. */
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

  /** Passes a signal on to all workers; to one that starts, once it is ready: before, the signal would end it. */
  passOn(signal: NodeJS.Signals): void {
    for (const { worker, ready, missed } of this.#slots) {
      if (ready) worker?.process.kill(signal)
      else if (worker) missed.add(signal)
    }
  }

  /** The worker with this id accepts requests. */
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
    for (const signal of slot.missed) slot.worker?.process.kill(signal)
    slot.missed.clear()
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
    Object.assign(slot, { worker: undefined, ready: false })
    slot.missed.clear()
    if (this.#stopping) {
      // A worker that ended as asked is not reported.
      if (signal === 'SIGKILL' || (code !== 0 && signal === null))
        this.#options.onEnd({ worker, code, signal, restartInMs: undefined })
      if (this.#isEmpty()) this.#finish(0)
      return
    }
    const pauseMs = Math.min(lastPauseMs, firstPauseMs * 2 ** slot.crashes++)
    const why = this.#everReady ? undefined : this.#startFailure(code)
    const restartInMs = why === undefined ? pauseMs : undefined
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

  /** Why the start of the whole router has failed; undefined while it may still succeed. */
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
