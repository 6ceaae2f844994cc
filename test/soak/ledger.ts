import type { Seen } from './ask.ts'
import type { Marker } from './marker.ts'
import type { Visit } from './sick-server.ts'

/** Why a good request may be lost beside a healthy target; docs/reliability.md names no other reason. */
export type Loss =
  | 'its worker was killed'
  | 'two servers that held it died'
  | 'its server died after the first content'

/** A kill is seen by the client this much later than by the one who kills, or earlier by its start. */
const killSlackMs = 250

/** What good clients saw, and which of their losses are allowed. */
export class Ledger {
  readonly visits = new Map<string, Visit[]>()
  readonly answered: Record<string, number> = {}
  readonly losses: Record<Loss, number> = {
    'its worker was killed': 0,
    'two servers that held it died': 0,
    'its server died after the first content': 0,
  }
  /** How many violations of each kind. */
  readonly violations: Record<string, number> = {}
  readonly #kills: number[] = []
  #beginMs = performance.now()

  /** From here on seconds are counted. */
  begin(): void {
    this.#beginMs = performance.now()
  }

  workerKilled(): void {
    this.#kills.push(performance.now())
  }

  get kills(): number {
    return this.#kills.length
  }

  /** `fault` says what is wrong with the answer; undefined: nothing. */
  settle(model: string, marker: Marker, seen: Seen, fault: string | undefined): void {
    const visits = this.visits.get(marker.text) ?? []
    this.visits.delete(marker.text)
    if (fault === undefined) {
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
      `${model}: ${fault}`,
      `${second} s, ${model}, ${marker.text}: ${fault}; ${seen.broken ?? seen.status} ${text}; asked: ${way || 'nobody'}`,
    )
  }

  /** The first three of a kind are shown as they happen. */
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
