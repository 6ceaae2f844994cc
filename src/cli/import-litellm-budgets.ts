import { isObject } from '../lib/json/read.ts'
import type { BudgetRecord } from '../sdk/teams/directory.ts'

type Json = Readonly<Record<string, unknown>>
type Window = Pick<BudgetRecord, 'window' | 'hours'>

interface ConvertedBudgets {
  budgets: { id: string; record: BudgetRecord }[]
  notes: string[]
}

/** Converts the cost budgets of a LiteLLM key or team: one for all models, a soft one, and those per model. */
export function budgetsOf(owner: { client: string } | { group: string }, record: Json): ConvertedBudgets {
  const found: ConvertedBudgets = { budgets: [], notes: [] }
  const [name = ''] = Object.values(owner)
  const add = (suffix: string, limit: unknown, duration: unknown, more: Partial<BudgetRecord> = {}): void => {
    if (typeof limit !== 'number' || limit <= 0) return
    const window = windowOf(duration)
    const id = `${name}-${suffix}`.replaceAll(/[^A-Za-z0-9_.@-]+/g, '-').slice(0, 64)
    if (window) found.budgets.push({ id, record: { ...owner, unit: 'cost', limit, ...window, ...more } })
    else found.notes.push(`${name} has a budget of ${limit} ${lengthOf(duration)}, which is not imported`)
  }
  const shared = isObject(record.litellm_budget_table) ? record.litellm_budget_table : {}
  const duration = record.budget_duration ?? shared.budget_duration
  add('budget', record.max_budget ?? shared.max_budget, duration)
  add('soft', record.soft_budget ?? shared.soft_budget, duration, { hard: false })
  for (const [model, budget] of Object.entries(Object(record.model_max_budget ?? shared.model_max_budget))) {
    const { budget_limit, max_budget, time_period, budget_duration }: Json = Object(budget)
    add(model, budget_limit ?? max_budget ?? budget, time_period ?? budget_duration ?? duration, { model })
  }
  for (const [index, budget] of (Array.isArray(record.budget_limits) ? record.budget_limits : []).entries()) {
    const { max_budget, budget_duration }: Json = Object(budget)
    add(`budget-${index + 1}`, max_budget, budget_duration)
  }
  return found
}

function lengthOf(duration: unknown): string {
  return typeof duration === 'string' ? `each ${duration}` : 'for all time'
}

const durations: Readonly<Record<string, string>> = {
  hourly: '1h',
  daily: '1d',
  weekly: '7d',
  monthly: '30d',
}
const hoursOf: Readonly<Record<string, number>> = { h: 1, d: 24, w: 168 }

/**
 * Converts a duration. LiteLLM resets budgets of a day at midnight, of 7 days on Monday, of 30 days or a month on the first.
 */
function windowOf(duration: unknown): Window | undefined {
  if (typeof duration !== 'string') return undefined
  const text = durations[duration.trim().toLowerCase()] ?? duration.trim()
  if (/^(?:1d|24h)$/.test(text)) return { window: 'day' }
  if (/^(?:7d|1w)$/.test(text)) return { window: 'week' }
  if (/^(?:30d|1mo)$/.test(text)) return { window: 'month' }
  const [, count, unit = ''] = /^(\d+)([hdw])$/.exec(text) ?? []
  const hours = Number(count) * (hoursOf[unit] ?? 0)
  return hours >= 1 && hours <= 744 ? { window: 'rolling', hours } : undefined
}
