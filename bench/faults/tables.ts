import type { Counts } from './play.ts'

/** By failure, then by proxy. */
export interface Results {
  before: Map<string, Map<string, Counts>>
  after: Map<string, Map<string, Counts>>
  /** How long requests continued after their clients disconnected, in milliseconds. */
  leaving: Map<string, Map<string, number[]>>
}

/** A request that ends this soon after its client disconnected, in milliseconds, has cost its server almost nothing. */
export const promptMs = 100

const words: Record<keyof Counts, string> = {
  good: 'good',
  error: 'error',
  silent: '**silent**',
  hang: '**hang**',
}

export function outcomeTable(head: string, outcomes: Results['before'], proxies: readonly string[]): string {
  return table(head, proxies, outcomes, shownCounts)
}

export function leavingTable(head: string, times: Results['leaving'], proxies: readonly string[]): string {
  return table(head, proxies, times, shownTimes)
}

/** A line for each cell in which the first proxy was worse than another one. */
export function worseCells(
  { before, after, leaving }: Results,
  [ours = '', ...others]: readonly string[],
): string[] {
  const lines: string[] = []
  const compare = <T>(
    all: Map<string, Map<string, T>>,
    isWorse: (our: T, their: T) => boolean,
    shown: (cell: T) => string,
  ): void => {
    for (const [fault, byProxy] of all) {
      const our = byProxy.get(ours)
      for (const proxy of others) {
        const their = byProxy.get(proxy)
        if (our === undefined || their === undefined || !isWorse(our, their)) continue
        lines.push(`${fault}: ${shown(our)}; ${proxy}: ${shown(their)}`)
      }
    }
  }
  for (const outcomes of [before, after]) compare(outcomes, isWorseAnswer, shownCounts)
  compare(leaving, (our, their) => prompt(our) < prompt(their), shownTimes)
  return lines
}

/** The inner map of a key, created if absent. */
export function entry<T>(map: Map<string, Map<string, T>>, key: string): Map<string, T> {
  const known = map.get(key)
  if (known) return known
  const made = new Map<string, T>()
  map.set(key, made)
  return made
}

function isWorseAnswer(our: Counts, their: Counts): boolean {
  return our.good < their.good || our.silent + our.hang > their.silent + their.hang
}

function prompt(times: readonly number[]): number {
  return times.filter((ms) => ms <= promptMs).length
}

function shownCounts(counts: Counts): string {
  const outcomes = ['good', 'error', 'silent', 'hang'] as const
  return outcomes
    .filter((outcome) => counts[outcome] > 0)
    .map((outcome) => `${counts[outcome]} ${words[outcome]}`)
    .join(', ')
}

function shownTimes(times: readonly number[]): string {
  const longest = Math.max(...times)
  if (longest <= promptMs) return `${times.length}`
  return `${prompt(times)} (longest ${Number.isFinite(longest) ? `${longest.toFixed(0)} ms` : 'without end'})`
}

function table<T>(
  head: string,
  proxies: readonly string[],
  rows: Map<string, Map<string, T>>,
  shown: (cell: T) => string,
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const lines = [...rows].map(([name, byProxy]) => {
    const cells = proxies.map((proxy) => {
      const cell = byProxy.get(proxy)
      return cell === undefined ? '' : shown(cell)
    })
    return line([name, ...cells])
  })
  return [line([head, ...proxies]), `|${'---|'.repeat(proxies.length + 1)}`, ...lines].join('\n')
}
