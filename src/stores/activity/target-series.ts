import { tenths } from '../../lib/numbers.ts'
import { type Range, rangeNames, ranges, type TargetHistory } from '../../sdk/console/history.ts'
import type { TargetCounts } from './store.ts'

const countNames = ['requests', 'errors', 'tokens', 'firstContentMs', 'streams'] as const

/** Counts of one target over one range, with one row of numbers per step. */
class Series {
  readonly #stepMs: number
  readonly #steps: number
  readonly #values: Float64Array
  #lastStep = 0

  constructor(range: Range) {
    const { sparkMs, sparks } = ranges[range]
    this.#stepMs = sparkMs
    this.#steps = sparks
    this.#values = new Float64Array(sparks * countNames.length)
  }

  add(counts: TargetCounts, at: number): void {
    this.#advance(at)
    const from = (this.#lastStep % this.#steps) * countNames.length
    for (const [index, member] of countNames.entries())
      this.#values[from + index] = (this.#values[from + index] ?? 0) + counts[member]
  }

  /** Undefined if nothing happened in the range. */
  view(at: number): Omit<TargetHistory, 'id' | 'model'> | undefined {
    this.#advance(at)
    if (this.#values.every((value) => value === 0)) return undefined
    const seconds = this.#stepMs / 1000
    const rows = Array.from({ length: this.#steps }, (_none, index) => {
      const from = ((this.#lastStep + 1 + index) % this.#steps) * countNames.length
      const [requests = 0, errors = 0, tokens = 0, firstContentMs = 0, streams = 0] = this.#values.subarray(
        from,
        from + countNames.length,
      )
      return { requests, errors, tokens, firstContentMs, streams }
    })
    return {
      requests: rows.map(({ requests }) => requests),
      errors: rows.map(({ errors }) => errors),
      tokens_per_second: rows.map(({ tokens }) => Math.round((tokens / seconds) * 1000) / 1000),
      ttft_ms: rows.map(({ firstContentMs, streams }) =>
        streams === 0 ? null : tenths(firstContentMs / streams),
      ),
    }
  }

  /** Clears steps outside the range. */
  #advance(at: number): void {
    const step = Math.floor(at / this.#stepMs)
    if (step === this.#lastStep) return
    const passed = step > this.#lastStep ? step - this.#lastStep : this.#steps
    for (let index = 0; index < Math.min(passed, this.#steps); index++) {
      const from = ((step - index + this.#steps) % this.#steps) * countNames.length
      this.#values.fill(0, from, from + countNames.length)
    }
    this.#lastStep = step
  }
}

/** Maximum number of targets, about 4 KB each. */
const maxTargets = 1_000

/** Counts per target and range, for the most recently used targets. */
export class TargetSeries {
  readonly #byKey = new Map<string, { id: string; model: string; series: Readonly<Record<Range, Series>> }>()

  add(counts: TargetCounts, at: number): void {
    const { id, model } = counts
    const key = JSON.stringify([model, id])
    const existing = this.#byKey.get(key)
    const target = existing ?? {
      id,
      model,
      series: { '15m': new Series('15m'), '1h': new Series('1h'), '6h': new Series('6h') },
    }
    // The map is ordered by last use.
    this.#byKey.delete(key)
    this.#byKey.set(key, target)
    for (const range of rangeNames) target.series[range].add(counts, at)
    const [oldest] = this.#byKey.keys()
    if (this.#byKey.size > maxTargets && oldest !== undefined) this.#byKey.delete(oldest)
  }

  view(range: Range, at: number): TargetHistory[] {
    return [...this.#byKey.values()].flatMap(({ id, model, series }) => {
      const view = series[range].view(at)
      return view ? [{ id, model, ...view }] : []
    })
  }
}
