import type { Seen } from './ask.ts'
import type { Marker } from './marker.ts'
import type { Visit } from './sick-server.ts'

/** Why a good request may fail although a target is healthy; docs/reliability.md names no other reason. */
export type Loss =
  | 'its worker was killed'
  | 'two servers that held it died'
  | 'its server died after the first content'

/** The client sees a kill up to this much later than the killer, or earlier by its start. */
const killSlackMs = 250

/** What good clients saw, and which of their failures are allowed. */
export class Ledger {
  readonly visits = new Map<string, Visit[]>()
  readonly answered: Record<string, number> = {}
  readonly losses: Record<Loss, number> = {
    'its worker was killed': 0,
    'two servers that held it died': 0,
    'its server died after the first content': 0,
  }
  /** The number of violations of each kind. */
  readonly violations: Record<string, number> = {}
  readonly #kills: number[] = []
  #beginMs = performance.now()

  /** Starts the count of seconds. */
  begin(): void {
    this.#beginMs = performance.now()
  }

  workerKilled(): void {
    this.#kills.push(performance.now())
  }

  get kills(): number {
    return this.#kills.length
  }

  /** `problem` says what is wrong with the answer; undefined if nothing is. */
  settle(model: string, marker: Marker, seen: Seen, problem: string | undefined): void {
    const visits = this.visits.get(marker.text) ?? []
    this.visits.delete(marker.text)
    if (problem === undefined) {
      this.answered[model] = (this.answered[model] ?? 0) + 1
      return
    }
    const loss = this.#allowed(seen, visits)
    if (loss !== undefined) {
      this.losses[loss]++
      return
    }
    const way = visits.map(({ server, ailment, end }) => `${server} (${ailment}): ${end}`).join(', ')
    const second = ((seen.startedMs - this.#beginMs) / 1000).toFixed(1)
    const text = seen.text.slice(0, 200).replaceAll('\n', ' ')
    this.violation(
      `${model}: ${problem}`,
      `${second} s, ${model}, ${marker.text}: ${problem}; ${seen.broken ?? seen.status} ${text}; asked: ${way || 'nobody'}`,
    )
  }

  /** Logs the first three violations of a kind as they happen. */
  violation(kind: string, text: string): void {
    const count = (this.violations[kind] ?? 0) + 1
    this.violations[kind] = count
    if (count <= 3) console.log(`VIOLATION ${text}`)
  }

  get violationCount(): number {
    return Object.values(this.violations).reduce((sum, count) => sum + count, 0)
  }

  #allowed({ startedMs, endedMs, broken }: Seen, visits: readonly Visit[]): Loss | undefined {
    if (broken !== undefined && broken !== 'timeout') {
      const atHand = this.#kills.some((at) => at > startedMs - killSlackMs && at < endedMs + killSlackMs)
      if (atHand) return 'its worker was killed'
    }
    const diedOnIt = new Set(visits.filter(({ end }) => end === 'silent').map(({ server }) => server))
    if (diedOnIt.size >= 2) return 'two servers that held it died'
    if (visits.at(-1)?.end === 'cut') return 'its server died after the first content'
    return undefined
  }
}
