import { nameMatcher } from '../../sdk/client-key.ts'
import type { PriceRecord, Snapshot } from '../../sdk/teams/directory.ts'
import type { UsageRow } from '../../stores/database/tables.ts'

export interface Prices {
  /** Cost of usage at the price of its target or model; 0 without one. */
  costOf(usage: UsageCost): number
}

/** The usage that is charged, as far as it is known. */
export type UsageCost = Pick<
  UsageRow,
  'model' | 'target' | 'requests' | 'prompt_tokens' | 'cached_tokens' | 'completion_tokens' | 'busy_ms'
>

interface Rule {
  record: PriceRecord
  matches(model: string, target: string): boolean
  rank: number
}

/** A target's price takes precedence over a model's, and a name over a pattern. */
export function pricesOf({ prices }: Pick<Snapshot, 'prices'>): Prices {
  const rules = prices.map(({ record }) => ruleOf(record)).toSorted((a, b) => b.rank - a.rank)
  return {
    costOf(usage) {
      const rule = rules.find(({ matches }) => matches(usage.model, usage.target))
      return rule ? costBy(rule.record, usage) : 0
    },
  }
}

function ruleOf(record: PriceRecord): Rule {
  const { model, target } = record
  const matchesModel = model ? nameMatcher([model]) : () => true
  return {
    record,
    matches: (name, at) => matchesModel(name) && (!target || target === at),
    rank: (target ? 4 : 0) + (model ? (model.includes('*') ? 1 : 2) : 0),
  }
}

function costBy(
  { prompt, cached_prompt, completion, gpu_second, request }: PriceRecord,
  { requests, prompt_tokens, cached_tokens, completion_tokens, busy_ms }: UsageCost,
): number {
  const fresh = Math.max(0, prompt_tokens - cached_tokens)
  return (
    (fresh * (prompt ?? 0) +
      cached_tokens * (cached_prompt ?? prompt ?? 0) +
      completion_tokens * (completion ?? 0)) /
      1_000_000 +
    (busy_ms / 1000) * (gpu_second ?? 0) +
    requests * (request ?? 0)
  )
}
