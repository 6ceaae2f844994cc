import { readFile } from 'node:fs/promises'
import { loadClientKeys } from '../config/client-keys-load.ts'
import type { RingEntry } from '../config/key-ring.ts'
import { isObject } from '../lib/json/read.ts'
import type { ClientRecord, Entities, EntityName, GroupRecord } from '../sdk/directory.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { Command } from './command-line.ts'
import { openAdministration, type Run } from './directory.ts'
import { usageOf } from './help.ts'

/** What a file says, in the words of the database. */
interface Imported {
  groups: { id: string; record: GroupRecord }[]
  clients: { id: string; record: ClientRecord; sha256: string }[]
  /** What has no counterpart, for people. */
  notes: string[]
}

/**
 * `llm-router import keys FILE`: a keys file of this router or of the Python one. `import litellm FILE`: keys and teams as
 * LiteLLM's API lists them. Keys stay valid, as their SHA-256 is what moves. What is there already stays as it is.
 */
export const importCommand: Command = async ([kind, file], context) => {
  if ((kind !== 'keys' && kind !== 'litellm') || file === undefined)
    throw new ConfigError([usageOf('import', context.program) ?? ''])
  const text = await readFile(file, 'utf8').catch(({ code }) => {
    throw new ConfigError([`cannot read ${file} (${code})`])
  })
  const imported =
    kind === 'keys' ? fromKeys(loadClientKeys(text, file, context.env)) : fromLiteLlm(parsed(text, file))
  const { run, close } = await openAdministration(context)
  try {
    const count = { groups: 0, clients: 0, keys: 0 }
    for (const { id, record } of imported.groups) if (await create(run, 'groups', id, record)) count.groups++
    for (const { id, record, sha256 } of imported.clients) {
      if (await create(run, 'clients', id, record)) count.clients++
      if ((await run('importKey', { client: id, sha256 })).isNew) count.keys++
    }
    context.print(`${JSON.stringify({ created: count, notes: imported.notes }, null, 2)}\n`)
    return 0
  } finally {
    await close()
  }
}

/** False for what is there already. */
async function create(
  run: Run,
  entity: EntityName,
  id: string,
  record: Entities[EntityName],
): Promise<boolean> {
  if ((await run('exists', { entity, id })) === true) return false
  await run('create', { entity, id, record })
  return true
}

function fromKeys({
  entries,
  warnings,
}: {
  entries: readonly RingEntry[]
  warnings: readonly string[]
}): Imported {
  const clients = entries.map(({ client, sha256 }) => ({
    id: client.id,
    sha256: sha256.toString('hex'),
    record: present<ClientRecord>({
      enabled: client.enabled ? undefined : false,
      models: client.models && [...client.models],
      surfaces: [...client.surfaces],
      role: client.role,
      priority: client.priority,
      weight: client.weight,
      max_concurrent: client.limits?.concurrent,
      requests_per_minute: client.limits?.requests,
      tokens_per_minute: client.limits?.tokens,
      max_tokens: client.maxTokens,
      expires_at: client.expiresAt === undefined ? undefined : new Date(client.expiresAt).toISOString(),
    }),
  }))
  return { groups: [], clients, notes: [...warnings] }
}

type Json = Readonly<Record<string, unknown>>

function parsed(text: string, file: string): { keys: Json[]; teams: Json[] } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ConfigError([`${file} is not JSON`])
  }
  const { keys, teams = [] } = isObject(value) ? value : {}
  if (!Array.isArray(keys) || !Array.isArray(teams) || ![...keys, ...teams].every(isObject))
    throw new ConfigError([
      `${file} is not an object with the lists "keys" (of /key/list?return_full_object=true) and "teams" (of /team/list)`,
    ])
  return { keys, teams }
}

function fromLiteLlm({ keys, teams }: { keys: Json[]; teams: Json[] }): Imported {
  const notes: string[] = []
  const nameOfTeam = new Map(teams.map((team) => [team.team_id, idOf(team.team_alias, team.team_id)]))
  const groups = teams.map((team) => {
    const id = nameOfTeam.get(team.team_id) ?? ''
    notes.push(...budgetNote(`group ${id}`, team))
    return { id, record: present<GroupRecord>(boundsOf(team)) }
  })
  const clients = keys.flatMap((key) => {
    const { token } = key
    if (typeof token !== 'string' || !/^[0-9a-f]{64}$/.test(token)) {
      notes.push(`a key has no SHA-256 as its token: ${idOf(key.key_alias, key.key_name)}`)
      return []
    }
    const id = idOf(key.key_alias, `key-${token.slice(0, 12)}`)
    notes.push(...budgetNote(`client ${id}`, key))
    const record = present<ClientRecord>({
      ...boundsOf(key),
      group: key.team_id ? nameOfTeam.get(key.team_id) : undefined,
      expires_at: timeOf(key.expires),
    })
    return [{ id, record, sha256: token }]
  })
  return { groups, clients, notes }
}

/** Names of LiteLLM that stand for all models. */
const allModels = new Set(['all-proxy-models', 'all-team-models'])

function boundsOf({ models, rpm_limit, tpm_limit, max_parallel_requests, blocked }: Json) {
  const named = Array.isArray(models) ? models.filter((model) => typeof model === 'string') : []
  return {
    enabled: blocked === true ? false : undefined,
    models: named.length === 0 || named.some((model) => allModels.has(model)) ? undefined : named,
    requests_per_minute: countOf(rpm_limit),
    tokens_per_minute: countOf(tpm_limit),
    max_concurrent: countOf(max_parallel_requests),
  }
}

function timeOf(value: unknown): string | undefined {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 1 ? Math.floor(value) : undefined
}

function budgetNote(who: string, { max_budget, budget_duration }: Json): string[] {
  if (typeof max_budget !== 'number') return []
  const window = typeof budget_duration === 'string' ? ` each ${budget_duration}` : ''
  return [`${who} has a budget of ${max_budget}${window}, which is not imported: create it`]
}

/** An id that the database takes, from the first name that there is. */
function idOf(...names: unknown[]): string {
  const name = names.find((each) => typeof each === 'string' && each !== '')
  return String(name ?? 'unnamed')
    .replaceAll(/[^A-Za-z0-9_.@-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64)
}

/** Without the members that are undefined. */
function present<Record extends object>(record: { [Key in keyof Record]?: Record[Key] | undefined }): Record {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Record // every member may be absent
}
