import { isObject, present } from '../lib/json/read.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { BudgetRecord } from '../sdk/teams/directory.ts'
import { budgetsOf } from './import-litellm-budgets.ts'
import type { Imported } from './imported.ts'

type Json = Readonly<Record<string, unknown>>

/**
 * Converts keys and teams of LiteLLM from responses of its API: pages of `GET /key/list?return_full_object=true`,
 * `GET /team/list`, pages of `GET /v2/team/list`, or lists of such responses. Teams become groups, and keys become clients.
 */
export function fromLiteLlm(files: readonly { value: unknown; file: string }[]): Imported {
  const { keys, teams, notes } = listed(files)
  const groupIds = idsOf(
    teams,
    ({ team_alias, team_id }) => [team_alias, team_id],
    ({ team_id }) => team_id,
  )
  const clientIds = idsOf(
    keys,
    ({ key_alias, token }) => [key_alias, `key-${token}`.slice(0, 16)],
    ({ token }) => token,
  )
  const budgets: Imported['budgets'] = []
  const spending = (owner: { client: string } | { group: string }, record: Json): void => {
    const found = budgetsOf(owner, record)
    budgets.push(...found.budgets)
    notes.push(...found.notes)
  }
  const groups = teams.map((team) => {
    const id = groupIds.get(team.team_id) ?? ''
    spending({ group: id }, team)
    return { id, record: present(boundsOf(`group ${id}`, team, notes)) }
  })
  const clients = keys.map((key) => {
    const id = clientIds.get(key.token) ?? ''
    spending({ client: id }, key)
    const group = typeof key.team_id === 'string' ? groupIds.get(key.team_id) : undefined
    const isOrphan = typeof key.team_id === 'string' && group === undefined
    if (isOrphan) notes.push(`client ${id} is disabled: its team ${key.team_id} is not in the files`)
    const bounds = boundsOf(`client ${id}`, key, notes)
    const record = present({
      ...bounds,
      enabled: isOrphan ? false : bounds.enabled,
      group,
      description: typeof key.key_name === 'string' ? `${key.key_name} of LiteLLM`.slice(0, 500) : undefined,
      expires_at: timeOf(key.expires),
    })
    return { id, record, keys: [{ sha256: String(key.token) }] }
  })
  if (budgets.some(({ record }: { record: BudgetRecord }) => record.unit === 'cost'))
    notes.push('cost budgets use the prices of this router: create a price for each model')
  return { groups, clients, budgets, notes }
}

interface Listed {
  keys: Json[]
  teams: Json[]
  notes: string[]
}

/** Collects the keys and teams in all files, each once. */
function listed(files: readonly { value: unknown; file: string }[]): Listed {
  const keys = new Map<unknown, Json>()
  const teams = new Map<unknown, Json>()
  const notes: string[] = []
  const totals = { keys: 0, teams: 0 }
  const addKey = (key: unknown, file: string): void => {
    if (typeof key === 'string')
      throw new ConfigError([
        `${file} lists keys without their limits: export /key/list?return_full_object=true instead`,
      ])
    if (!isObject(key)) return
    const { token, key_alias, key_name } = key
    if (typeof token === 'string' && /^[0-9a-f]{64}$/.test(token)) keys.set(token, key)
    else notes.push(`a key has no SHA-256 as its token: ${String(key_alias ?? key_name ?? 'without a name')}`)
  }
  const addTeam = (team: Json, file: string): void => {
    teams.set(team.team_id, team)
    for (const key of Array.isArray(team.keys) ? team.keys : []) addKey(key, file)
  }
  const add = (value: unknown, file: string): boolean => {
    if (Array.isArray(value)) return value.every((entry) => add(entry, file))
    if (!isObject(value)) return false
    if (typeof value.team_id === 'string' && !('token' in value)) {
      addTeam(value, file)
      return true
    }
    if ('token' in value) {
      addKey(value, file)
      return true
    }
    const { keys: keyList, teams: teamList } = value
    if (!Array.isArray(keyList) && !Array.isArray(teamList)) return false
    // A combined file may have whole responses as its members.
    for (const key of Array.isArray(keyList) ? keyList : []) addKey(key, file)
    totals.keys = Math.max(totals.keys, Number(value.total_count) || 0)
    totals.teams = Math.max(totals.teams, Number(value.total) || 0)
    return Array.isArray(teamList) ? teamList.every((team) => add(team, file)) : teamList === undefined
  }
  for (const { value, file } of files)
    if (!add(value, file) || (Array.isArray(value) && value.length === 0))
      throw new ConfigError([
        `${file} is not a response of LiteLLM's /key/list?return_full_object=true, /team/list or /v2/team/list, nor an object with the lists "keys" and "teams"`,
      ])
  for (const [what, known] of [
    ['keys', keys.size],
    ['teams', teams.size],
  ] as const)
    if (known < totals[what])
      notes.push(`${known} of ${totals[what]} ${what} are in the files: export the other pages too`)
  return { keys: [...keys.values()], teams: [...teams.values()], notes }
}

/** Names that mean all models. */
const allModels = new Set(['all-proxy-models', 'all-team-models'])
const noModels = 'no-default-models'

function boundsOf(who: string, record: Json, notes: string[]) {
  const named = Array.isArray(record.models)
    ? record.models.filter((model) => typeof model === 'string' && model !== noModels)
    : []
  const isUnbounded = named.some((model) => allModels.has(model)) || !Array.isArray(record.models)
  const shared = isObject(record.litellm_budget_table) ? record.litellm_budget_table : {}
  const limit = (name: string): unknown => record[name] ?? shared[name]
  const limits = {
    requests_per_minute: limit('rpm_limit'),
    tokens_per_minute: limit('tpm_limit'),
    max_concurrent: limit('max_parallel_requests'),
  }
  // In LiteLLM a limit of 0 blocks everything; here it means no limit.
  const isBlocked = [...Object.values(limits), limit('max_budget')].some(
    (value) => value !== null && Number(value) === 0,
  )
  if (isBlocked && record.blocked !== true) notes.push(`${who} is disabled: one of its limits is 0`)
  for (const name of ['tpd_limit', 'access_group_ids', 'guardrails', 'policies'] as const)
    if (isSet(record[name])) notes.push(`${who} has ${name}, which is not imported`)
  const routes = Array.isArray(record.allowed_routes)
    ? record.allowed_routes.filter((route) => typeof route === 'string')
    : []
  const paths = routes.filter((route) => route.startsWith('/'))
  if (routes.some((route) => !route.startsWith('/') && route !== 'llm_api_routes'))
    notes.push(`${who} has allowed_routes ${routes.join(', ')}: only paths are imported`)
  return {
    enabled: record.blocked === true || isBlocked ? false : undefined,
    models:
      isUnbounded || (named.length === 0 && !record.models?.toString().includes(noModels))
        ? undefined
        : named,
    endpoints: paths.length > 0 && paths.length === routes.length ? paths : undefined,
    requests_per_minute: countOf(limits.requests_per_minute),
    tokens_per_minute: countOf(limits.tokens_per_minute),
    max_concurrent: countOf(limits.max_concurrent),
  }
}

function isSet(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null
}

/** Converts a time. LiteLLM omits the time zone if it is UTC. */
function timeOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const at = Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`)
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}

function countOf(value: unknown): number | undefined {
  const count = typeof value === 'number' || typeof value === 'string' ? Math.floor(Number(value)) : 0
  return count >= 1 ? Math.min(count, 1_000_000_000) : undefined
}

/** Returns a unique id per record, by key: from its first usable name; duplicates get a part of their key appended. */
function idsOf(
  records: readonly Json[],
  names: (record: Json) => unknown[],
  keyOf: (record: Json) => unknown,
): Map<unknown, string> {
  const ids = new Map<unknown, string>()
  const used = new Set<string>()
  for (const record of records) {
    const key = keyOf(record)
    const [id = '', ...others] = [...names(record), key].map(idFrom).filter((each) => each !== '')
    const free = [id, `${id.slice(0, 51)}-${idFrom(key).slice(0, 12)}`, ...others].find(
      (each) => !used.has(each),
    )
    ids.set(key, free ?? id)
    used.add(free ?? id)
  }
  return ids
}

/** Converts a name to a valid id. */
function idFrom(name: unknown): string {
  return String(name ?? '')
    .replaceAll(/[^A-Za-z0-9_.@-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64)
}
