import { type KeyRing, KeyRing as Ring } from '../../config/client-keys/key-ring.ts'
import { type ClientKey, type KeyLimits, nameMatcher, surfacesOf } from '../../sdk/client-key.ts'
import type { ClientRecord, GroupRecord, Snapshot } from '../../sdk/teams/directory.ts'

/** Prefix of the ids under which group limits are counted; client ids contain no slash. */
export const groupScope = 'group/'

/** What a client or a group permits. */
type Bounds = Omit<GroupRecord, 'parent'>

/** The clients of the database with the restrictions of their groups, and their keys. */
export function directoryKeys({ clients, groups, keys }: Snapshot): { ring: KeyRing; clients: ClientKey[] } {
  const groupOf = new Map(groups.map(({ id, record }) => [id, record]))
  const known = new Map(clients.map(({ id, record }) => [id, clientKey(id, record, groupOf)]))
  const entries = keys.flatMap(({ id: keyId, client: owner, sha256, endsAt }) => {
    const client = known.get(owner)
    if (!client) return []
    const expiresAt = earliest(client.expiresAt, endsAt ?? undefined)
    return [{ client: { ...client, expiresAt, keyId }, sha256: Buffer.from(sha256, 'hex') }]
  })
  return { ring: new Ring(entries), clients: [...known.values()] }
}

function clientKey(id: string, record: ClientRecord, groupOf: ReadonlyMap<string, GroupRecord>): ClientKey {
  const above = groupsOf(record.group, groupOf)
  const all: readonly Bounds[] = [record, ...above.map(({ group }) => group)]
  const models = all.flatMap(({ models: patterns }) => (patterns ? [patterns] : []))
  const matchers = models.map(nameMatcher)
  const paths = all.flatMap(({ endpoints }) => (endpoints ? [nameMatcher(endpoints)] : []))
  const scopes = [
    { key: id, bounds: record as Bounds },
    ...above.map(({ name, group }) => ({ key: `${groupScope}${name}`, bounds: group })),
  ]
  const limited = scopes.flatMap(({ key, bounds }) => {
    const limits = limitsOf(bounds)
    return limits ? [{ key, limits }] : []
  })
  const permitted = new Set(
    [...surfacesOf(record.surfaces, record.role)].filter((surface) =>
      above.every(({ group }) => !group.surfaces || group.surfaces.includes(surface)),
    ),
  )
  return {
    id,
    group: record.group ?? undefined,
    enabled: all.every(({ enabled }) => enabled !== false),
    expiresAt: record.expires_at ? Date.parse(record.expires_at) : undefined,
    // A group without the operator surface restricts roles too.
    role: permitted.has('operator') ? (record.role ?? undefined) : undefined,
    surfaces: permitted,
    // Shown to operators: the narrowest list.
    models: models[0],
    mayUse: (alias) => matchers.every((matches) => matches(alias)),
    limits: tightest(limited.map(({ limits }) => limits)),
    limitScopes: limited.length > 0 && above.length > 0 ? limited : undefined,
    priority: record.priority,
    weight: record.weight,
    choosesPriority: record.priority_header === true,
    choosesCanary: record.canary_header === true,
    maxTokens: least(all.map(({ max_tokens: most }) => most ?? undefined)),
    mayCall: paths.length > 0 ? (path) => paths.every((matches) => matches(path)) : undefined,
  }
}

/** The group and its parent. The database guarantees that the group exists. */
function groupsOf(name: string | null | undefined, groupOf: ReadonlyMap<string, GroupRecord>) {
  const group = name ? groupOf.get(name) : undefined
  if (!name || !group) return []
  const parent = group.parent ? groupOf.get(group.parent) : undefined
  return [{ name, group }, ...(group.parent && parent ? [{ name: group.parent, group: parent }] : [])]
}

function limitsOf({ max_concurrent, requests_per_minute, tokens_per_minute }: Bounds): KeyLimits | undefined {
  const limits = {
    ...(max_concurrent ? { concurrent: max_concurrent } : {}),
    ...(requests_per_minute ? { requests: requests_per_minute } : {}),
    ...(tokens_per_minute ? { tokens: tokens_per_minute } : {}),
  }
  return Object.keys(limits).length > 0 ? limits : undefined
}

function tightest(all: readonly KeyLimits[]): KeyLimits | undefined {
  if (all.length === 0) return undefined
  const limits: { -readonly [Kind in keyof KeyLimits]: KeyLimits[Kind] } = {}
  for (const kind of ['concurrent', 'requests', 'tokens'] as const) {
    const most = least(all.map((each) => each[kind]))
    if (most !== undefined) limits[kind] = most
  }
  return limits
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const set = values.filter((value) => value !== undefined)
  return set.length === 0 ? undefined : Math.min(...set)
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return least([a, b])
}
