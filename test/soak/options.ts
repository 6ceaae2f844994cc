import { parseArgs } from 'node:util'

export interface SoakOptions {
  /** For all runs together. */
  minutes: number
  seed: number
  /** Which runs, in this order. */
  runs: readonly SoakRun[]
}

export type SoakRun = 'steady' | 'hostile' | 'raw-http'

const allRuns: readonly SoakRun[] = ['steady', 'hostile', 'raw-http']

/** `--minutes`, `--seed` and `--only`, or `LLM_ROUTER_SOAK_MINUTES` and `LLM_ROUTER_SOAK_SEED`. */
export function soakOptions(args: readonly string[], env: NodeJS.ProcessEnv): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { minutes: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
  })
  const minutes = Number(values.minutes ?? env.LLM_ROUTER_SOAK_MINUTES ?? 30)
  const seed = Number(values.seed ?? env.LLM_ROUTER_SOAK_SEED ?? Date.now() % 1_000_000)
  if (!(minutes > 0 && minutes <= 24 * 60)) throw new Error('--minutes: a number over 0, at most 1440')
  if (!Number.isInteger(seed)) throw new Error('--seed: an integer')
  const runs = allRuns.filter((run) => values.only === undefined || values.only === run)
  if (runs.length === 0) throw new Error(`--only: one of ${allRuns.join(', ')}`)
  return { minutes, seed, runs }
}
