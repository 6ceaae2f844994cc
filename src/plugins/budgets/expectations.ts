import { movingAverage } from '../../lib/numbers.ts'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import type { BudgetUnit } from '../../sdk/teams/directory.ts'
import type { UsageRow } from '../../stores/database/tables.ts'
import type { RequestCost } from '../auth/request-cost.ts'
import type { UsageCost } from '../usage/prices.ts'

interface Typical {
  completionTokens: number
  busyMs: number
}

/** Expected charge of requests to budgets: their own size plus a response of average length. */
export class Expectations {
  readonly #costOf: (usage: UsageCost) => number
  /** By alias, so bounded by the number of models. */
  readonly #typical = new Map<string, Typical>()

  constructor(costOf: (usage: UsageCost) => number) {
    this.#costOf = costOf
  }

  learn({ model, requests, completion_tokens, busy_ms }: UsageRow, { outcome }: ExchangeRecord): void {
    if (requests === 0 || outcome !== 'success') return
    const before = this.#typical.get(model)
    this.#typical.set(model, {
      completionTokens: movingAverage(before?.completionTokens, completion_tokens),
      busyMs: movingAverage(before?.busyMs, busy_ms),
    })
  }

  /** Undefined: as much as a typical request on the budget. */
  of(
    unit: BudgetUnit,
    model: string | undefined,
    { requests, promptTokens, answers, maxTokens }: RequestCost,
  ): number | undefined {
    const typical = model === undefined ? undefined : this.#typical.get(model)
    const tokens = Math.ceil(Math.min(maxTokens, typical?.completionTokens ?? 0) * answers)
    switch (unit) {
      case 'requests':
        return requests
      case 'gpu_seconds':
        return typical && (typical.busyMs / 1000) * requests
      case 'tokens':
        return promptTokens + tokens
      case 'cost':
        return this.#costOf({
          model: model ?? '',
          target: '',
          requests,
          prompt_tokens: promptTokens,
          cached_tokens: 0,
          completion_tokens: tokens,
          busy_ms: (typical?.busyMs ?? 0) * requests,
        })
    }
  }
}
