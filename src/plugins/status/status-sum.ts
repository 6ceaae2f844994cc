import type { StatusPart } from '../../cluster/status.ts'
import {
  type ModelStatus,
  type Status,
  type TargetStatus,
  targetStates,
  type WorkerStatus,
} from '../../sdk/console/status.ts'

/** Maximum lengths of the lists, as in the status of one process; the latest entries are kept. */
export interface StatusLimits {
  errors: number
  failures: number
}

const breakerStates: readonly TargetStatus['breaker'][] = ['closed', 'half_open', 'open']

/**
 * Combines the status of all processes into the shape of one: counts are summed, moving averages are weighted by uses,
 * and each target gets its worst state. `own`: status of the process that answers.
 */
export function sumOfStatuses(own: Status, all: readonly StatusPart[], limits: StatusLimits): Status {
  const others = all.filter(({ part }) => part.worker !== own.worker)
  const parts = [own, ...others.map(({ part }) => part)]
  const workers = [
    ...own.workers,
    ...others.flatMap(({ part, late }) =>
      part.workers.map((row) => (late ? { ...row, state: 'silent' as const } : row)),
    ),
  ].sort((a, b) => a.worker - b.worker)
  return {
    ...own,
    started_at: parts.map(({ started_at: at }) => at).sort()[0] ?? own.started_at,
    uptime_seconds: Math.max(...parts.map(({ uptime_seconds: seconds }) => seconds)),
    state: stateOf(workers),
    requests: {
      finished: sum(parts, ({ requests }) => requests.finished),
      failed: sum(parts, ({ requests }) => requests.failed),
      client_gone: sum(parts, ({ requests }) => requests.client_gone),
      per_minute: sum(parts, ({ requests }) => requests.per_minute),
      failed_per_minute: sum(parts, ({ requests }) => requests.failed_per_minute),
    },
    models: modelsOf(parts, limits.errors),
    failures: latest(
      parts.flatMap(({ failures }) => failures),
      limits.failures,
    ),
    workers,
  }
}

function stateOf(workers: readonly WorkerStatus[]): Status['state'] {
  const states = workers.map(({ state }) => state).filter((state) => state !== 'draining')
  if (states.length === 0) return 'draining'
  if (states.every((state) => state === 'ready')) return 'ready'
  return states.every((state) => state === 'unusable') ? 'unusable' : 'degraded'
}

/** During a reload, processes can have different models. */
function modelsOf(parts: readonly Status[], errors: number): ModelStatus[] {
  const byName = grouped(
    parts.flatMap(({ models }) => models),
    ({ name }) => name,
  )
  return Array.from(byName, ([, [first, ...others]]) => {
    const same = [first, ...others]
    const targets = grouped(
      same.flatMap((model) => model.targets),
      ({ id }) => id,
    )
    return {
      ...first,
      waiting: sum(same, ({ waiting }) => waiting),
      refused_per_minute: sum(same, (model) => model.refused_per_minute),
      panic: same.some(({ panic }) => panic),
      targets: Array.from(targets, ([, seen]) => targetOf(seen, errors)),
    }
  })
}

function targetOf(seen: readonly [TargetStatus, ...TargetStatus[]], errors: number): TargetStatus {
  const [first] = seen
  const worst = seen.reduce((a, b) => (rank(b) > rank(a) ? b : a))
  const { first_content_ms: _firstContent, tokens_per_second: _tokens, ...rest } = worst
  const firstContentMs = average(seen, (target) => target.first_content_ms)
  const tokensPerSecond = average(seen, (target) => target.tokens_per_second)
  return {
    ...rest,
    since: seen.flatMap(({ state, since }) => (state === worst.state ? since : [])).sort()[0] ?? worst.since,
    breaker:
      breakerStates[Math.max(...seen.map(({ breaker }) => breakerStates.indexOf(breaker)))] ?? 'closed',
    retry_in_seconds: Math.max(...seen.map(({ retry_in_seconds: seconds }) => seconds)),
    in_flight: sum(seen, (target) => target.in_flight),
    uses: sum(seen, (target) => target.uses),
    requests_per_minute: sum(seen, (target) => target.requests_per_minute),
    failed_per_minute: sum(seen, (target) => target.failed_per_minute),
    failure_rate: rounded(average(seen, (target) => target.failure_rate) ?? first.failure_rate, 1000),
    ...(firstContentMs === undefined ? {} : { first_content_ms: rounded(firstContentMs, 10) }),
    ...(tokensPerSecond === undefined ? {} : { tokens_per_second: rounded(tokensPerSecond, 10) }),
    weight: rounded(sum(seen, ({ weight }) => weight) / seen.length, 1_000_000),
    last_errors: latest(
      seen.flatMap((target) => target.last_errors),
      errors,
    ),
  }
}

function rank({ state }: TargetStatus): number {
  return targetStates.indexOf(state)
}

/** Average weighted by uses, over the processes with a value; undefined if there is none. */
function average(
  seen: readonly TargetStatus[],
  of: (target: TargetStatus) => number | undefined,
): number | undefined {
  let [total, uses] = [0, 0]
  for (const target of seen) {
    const value = of(target)
    if (value === undefined || target.uses === 0) continue
    total += value * target.uses
    uses += target.uses
  }
  return uses === 0 ? undefined : total / uses
}

function grouped<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
): Map<string, [Item, ...Item[]]> {
  const groups = new Map<string, [Item, ...Item[]]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(item)
    else groups.set(keyOf(item), [item])
  }
  return groups
}

function latest<Item extends { at: string }>(items: readonly Item[], most: number): Item[] {
  return items.toSorted((a, b) => b.at.localeCompare(a.at)).slice(0, most)
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function rounded(value: number, parts: number): number {
  return Math.round(value * parts) / parts
}
