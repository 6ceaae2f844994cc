import type { ActivityPart, Counts } from './store.ts'
import { TimeHistogram } from './time-histogram.ts'

const countNames = [
  'requests',
  'errors',
  'client_errors',
  'client_gone',
  'prompt_tokens',
  'completion_tokens',
] as const satisfies readonly (keyof Counts)[]

/** Sums over one or more time steps. */
export class StepSums {
  readonly counts: Counts = {
    requests: 0,
    errors: 0,
    client_errors: 0,
    client_gone: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
  }
  readonly firstContents = new TimeHistogram()
  queue = 0
  running = 0

  add({ counts, firstContents }: Pick<ActivityPart, 'counts' | 'firstContents'>): void {
    for (const name of countNames) this.counts[name] += counts[name]
    for (const [bucket, count] of firstContents) this.firstContents.add(bucket, count)
  }

  addStep({ counts, firstContents, queue, running }: StepSums): void {
    for (const name of countNames) this.counts[name] += counts[name]
    this.firstContents.addAll(firstContents)
    this.recordLoad(queue, running)
  }

  recordLoad(queue: number, running: number): void {
    this.queue = Math.max(this.queue, queue)
    this.running = Math.max(this.running, running)
  }

  clear(): void {
    for (const name of countNames) this.counts[name] = 0
    this.firstContents.clear()
    this.queue = 0
    this.running = 0
  }
}

/** Sums of the last steps, in constant memory. Steps are aligned to the clock. */
export class StepRing {
  readonly #stepMs: number
  readonly #slots: { step: number; sums: StepSums }[]

  constructor(stepMs: number, steps: number) {
    this.#stepMs = stepMs
    this.#slots = Array.from({ length: steps }, () => ({ step: -1, sums: new StepSums() }))
  }

  /** Returns the mutable sums of the step that contains `at` (milliseconds since 1970). */
  sumsAt(at: number): StepSums | undefined {
    const step = this.#stepOf(at)
    const slot = this.#slots[step % this.#slots.length]
    if (!slot) return undefined
    if (slot.step !== step) {
      slot.step = step
      slot.sums.clear()
    }
    return slot.sums
  }

  /** Returns the `count` steps up to `at`, oldest first; undefined for empty steps. */
  last(count: number, at: number): { fromMs: number; steps: (StepSums | undefined)[] } {
    const first = this.#stepOf(at) - count + 1
    const steps = Array.from({ length: count }, (_none, index) => {
      const step = first + index
      const slot = this.#slots[step % this.#slots.length]
      return slot?.step === step ? slot.sums : undefined
    })
    return { fromMs: first * this.#stepMs, steps }
  }

  #stepOf(at: number): number {
    return Math.floor(at / this.#stepMs)
  }
}
