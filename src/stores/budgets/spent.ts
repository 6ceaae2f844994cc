import type { Transaction } from 'kysely'
import type { BudgetRecord, BudgetUnit, Snapshot } from '../../sdk/teams/directory.ts'
import type { Database, Tables, UsageRow } from '../database/tables.ts'
import { quarterMs } from '../usage/sums.ts'
import type { BudgetWindow } from './window.ts'

/** Maximum length of a window in milliseconds: 31 days, an hour for daylight saving time, and 15 minutes. */
const maxWindowMs = 745 * 3_600_000 + quarterMs

/** Recorded usage of a budget in the quarter of an hour that starts at `period`. */
export interface SpentQuarter {
  period: number
  amount: number
}

export type Spending = Pick<UsageRow, 'prompt_tokens' | 'completion_tokens' | 'cost' | 'busy_ms' | 'requests'>

/** Returns the amount of usage in the unit of a budget. */
export function amountOf(unit: BudgetUnit, usage: Spending): number {
  switch (unit) {
    case 'tokens':
      return usage.prompt_tokens + usage.completion_tokens
    case 'cost':
      return usage.cost
    case 'gpu_seconds':
      return usage.busy_ms / 1000
    case 'requests':
      return usage.requests
  }
}

/** Finds the budgets that a client's usage is charged to: its own and those of its groups. */
export class BudgetIndex {
  readonly #byOwner: Map<string, { id: string; record: BudgetRecord }[]>
  readonly #groupOf: Map<string, string | undefined>
  readonly #parentOf: Map<string, string | undefined>

  constructor({ budgets, clients, groups }: Pick<Snapshot, 'budgets' | 'clients' | 'groups'>) {
    const enabled = budgets.filter(({ record }) => record.enabled !== false)
    this.#byOwner = Map.groupBy(enabled, ({ record: { client, group } }) =>
      client ? `client/${client}` : `group/${group}`,
    )
    this.#groupOf = new Map(clients.map(({ id, record }) => [id, record.group ?? undefined]))
    this.#parentOf = new Map(groups.map(({ id, record }) => [id, record.parent ?? undefined]))
  }

  /** Returns the client's group and the parent of that group. */
  groupsOf(client: string): string[] {
    const group = this.#groupOf.get(client)
    const parent = group === undefined ? undefined : this.#parentOf.get(group)
    return [group, parent].filter((id) => id !== undefined)
  }

  /** Returns the budgets for a client and a model. `model` undefined: all budgets of the client. */
  of(client: string, model: string | undefined): { id: string; record: BudgetRecord }[] {
    if (this.#byOwner.size === 0) return []
    const owners = [`client/${client}`, ...this.groupsOf(client).map((group) => `group/${group}`)]
    return owners
      .flatMap((owner) => this.#byOwner.get(owner) ?? [])
      .filter(({ record }) => model === undefined || !record.model || record.model === model)
  }
}

/** Adds usage to the budgets that it is charged to. */
export async function chargeBudgets(
  rows: Transaction<Tables>,
  usage: readonly UsageRow[],
  snapshot: Snapshot,
): Promise<void> {
  if (snapshot.budgets.length === 0) return
  const index = new BudgetIndex(snapshot)
  const sums = new Map<string, { budget: string; period: number; amount: number }>()
  for (const row of usage)
    for (const { id, record } of index.of(row.client, row.model)) {
      const key = `${row.period}/${id}`
      const sum = sums.get(key) ?? { budget: id, period: row.period, amount: 0 }
      sum.amount += amountOf(record.unit, row)
      sums.set(key, sum)
    }
  for (const [, sum] of [...sums].toSorted(([a], [b]) => (a < b ? -1 : 1))) await addSpent(rows, sum)
}

async function addSpent(
  rows: Transaction<Tables>,
  sum: { budget: string; period: number; amount: number },
): Promise<void> {
  await rows
    .insertInto('budget_spent')
    .values(sum)
    .onConflict((conflict) =>
      conflict
        .columns(['budget', 'period'])
        .doUpdateSet((build) => ({ amount: build('budget_spent.amount', '+', sum.amount) })),
    )
    .execute()
}

/** Calculates the spending of a new or changed budget from earlier usage, by the current groups of the clients. */
export async function recalculateBudget(
  rows: Transaction<Tables>,
  id: string,
  { client, group, model, unit }: BudgetRecord,
  now: number,
): Promise<void> {
  await rows.deleteFrom('budget_spent').where('budget', '=', id).execute()
  const clients = client ? [client] : await clientsInGroup(rows, group ?? '')
  if (clients.length === 0) return
  let query = rows
    .selectFrom('usage_quarters')
    .selectAll()
    .where('period', '>', now - maxWindowMs)
    .where('client', 'in', clients)
  if (model) query = query.where('model', '=', model)
  const sums = new Map<number, number>()
  for (const row of await query.execute())
    sums.set(row.period, (sums.get(row.period) ?? 0) + amountOf(unit, row))
  for (const [period, amount] of sums) await addSpent(rows, { budget: id, period, amount })
}

async function clientsInGroup(rows: Transaction<Tables>, group: string): Promise<string[]> {
  const below = await rows.selectFrom('client_groups').select('id').where('parent', '=', group).execute()
  const found = await rows
    .selectFrom('clients')
    .select('id')
    .where('group_id', 'in', [group, ...below.map(({ id }) => id)])
    .execute()
  return found.map(({ id }) => id)
}

export async function deleteBudgetState(rows: Transaction<Tables>, id: string): Promise<void> {
  for (const table of ['budget_spent', 'budget_slices', 'budget_notices'] as const)
    await rows.deleteFrom(table).where('budget', '=', id).execute()
}

/** Returns the recorded usage of a window per quarter of an hour, oldest first. */
export function readQuarters(
  rows: Database,
  id: string,
  { start, end }: BudgetWindow,
): Promise<SpentQuarter[]> {
  return rows
    .selectFrom('budget_spent')
    .select(['period', 'amount'])
    .where('budget', '=', id)
    .where('period', '>=', start)
    .where('period', '<', end)
    .orderBy('period')
    .execute()
}

export function totalOf(quarters: readonly SpentQuarter[]): number {
  return quarters.reduce((sum, { amount }) => sum + amount, 0)
}

/** Deletes entries older than any window. */
export async function deleteOldSpending(rows: Database, now: number): Promise<void> {
  await rows
    .deleteFrom('budget_spent')
    .where('period', '<', now - maxWindowMs)
    .execute()
  await rows
    .deleteFrom('budget_notices')
    .where('period', '<', now - 2 * maxWindowMs)
    .execute()
}
