import { RouterError } from '../../sdk/errors.ts'
import type { BudgetRecord, BudgetUnit } from '../../sdk/teams/directory.ts'
import type { BudgetState } from '../../stores/budgets/slices.ts'
import { limitHeaders } from '../auth/use-limits.ts'

/** Longest wait that is recommended, in seconds: the budget may be raised meanwhile. */
const maxRetrySeconds = 300

const words: Readonly<Record<BudgetUnit, string>> = {
  tokens: 'tokens',
  cost: 'cost',
  gpu_seconds: 'GPU-seconds',
  requests: 'requests',
}

/** A hard budget has too little left. The text names the true reset; the header only recommends a wait. */
export function refusal(
  id: string,
  { unit, limit, model }: BudgetRecord,
  { resetsAt, spent }: BudgetState,
): RouterError {
  const of = model ? ` for the model '${model}'` : ''
  const reset = new Date(resetsAt).toISOString().replace(/\.\d+Z$/, 'Z')
  const left = Number((limit - spent).toPrecision(6))
  const state = left > 0 ? `has ${left} left, too little for this and other running requests` : 'is used up'
  const message = `The budget '${id}' of ${limit} ${words[unit]}${of} ${state}. It resets at ${reset}`
  return new RouterError('rate_limit', message, {
    code: 'insufficient_quota',
    causeCode: 'BUDGET',
    shouldRetry: false,
    retryAfterSeconds: Math.min(maxRetrySeconds, secondsTo(resetsAt)),
  })
}

export function storeDown(id: string): RouterError {
  return new RouterError('overloaded', `The budget '${id}' cannot be checked at the moment`, {
    code: 'budget_unavailable',
    retryAfterSeconds: 5,
  })
}

/** The dialect's own header for the reset time. */
export function resetHeaders(dialect: string, resetsAt: number): Record<string, string> {
  const now = { left: 0, fullInMs: secondsTo(resetsAt) * 1000 }
  const all = limitHeaders(dialect, { tokens: now }, { tokens: 1 })
  return Object.fromEntries(Object.entries(all).filter(([name]) => name.includes('reset')))
}

function secondsTo(at: number): number {
  return Math.max(1, Math.ceil((at - Date.now()) / 1000))
}
