import type { Priority } from './strategy.ts'

/** The surfaces of the router that a key may be kept to. `operator` is what those look at who run it. */
export const surfaces = ['openai', 'anthropic', 'gemini', 'ollama', 'text', 'operator'] as const

/** How urgent a client's requests are, the most urgent first. */
export const priorities = ['high', 'normal', 'low'] as const

/** What somebody who runs the router may do: look, change the fleet, change clients and budgets. Each may what those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof roles)[number]

export type Surface = (typeof surfaces)[number]

/** What one key may use at a time. Absent: no limit. */
export interface KeyLimits {
  /** Requests that have not ended. */
  readonly concurrent?: number
  /** Requests that begin within any 60 seconds. */
  readonly requests?: number
  /** Tokens of prompts and answers; what a minute may take is there at once, and comes back evenly. */
  readonly tokens?: number
}

/** One client, as the keys file describes it, without its key. */
export interface ClientKey {
  /** Stands in the log and in metrics. */
  readonly id: string
  readonly enabled: boolean
  /** Milliseconds since 1970; undefined: never. */
  readonly expiresAt: number | undefined
  readonly surfaces: ReadonlySet<Surface>
  /** Names and patterns of models, for people; undefined: all. */
  readonly models: readonly string[] | undefined
  /** Whether it has a right to the model of this alias, as models-config.json writes it. */
  mayUse(alias: string): boolean
  /** Undefined when it has none at all. The tightest of each kind where groups bound it too. */
  readonly limits: KeyLimits | undefined
  /** Its own limits and those of its groups, each counted for itself; absent: `limits` are its own. */
  readonly limitScopes?: readonly { readonly key: string; readonly limits: KeyLimits }[] | undefined
  /** What it may do to the router itself; absent: as `surfaces` say, `operator` or nothing. */
  readonly role?: Role | undefined
  /** Id of the key that was used, of a client of the database. */
  readonly keyId?: string | undefined
  /** The group that it belongs to. */
  readonly group?: string | undefined
  /** Whether it may use the endpoint at this path, as the client sent it; absent: all. */
  readonly mayCall?: ((path: string) => boolean) | undefined
  /** The most tokens that one request may ask for. */
  readonly maxTokens: number | undefined
  /** Of its requests; absent: `normal`. */
  readonly priority?: Priority | undefined
  /** Its share among the clients whose requests wait, over 0; absent: 1. */
  readonly weight?: number | undefined
  /** Whether its requests may name their own priority. */
  readonly choosesPriority?: boolean
  /** Whether its requests may choose canaries or avoid them. */
  readonly choosesCanary?: boolean
}

/** Whether a client has a role or one above it. */
export function hasRole(client: ClientKey, needed: Role): boolean {
  const own = roleOf(client)
  return client.enabled && own !== undefined && roles.indexOf(own) >= roles.indexOf(needed)
}

export function roleOf({ role, surfaces: permitted }: ClientKey): Role | undefined {
  return role ?? (permitted.has('operator') ? 'operator' : undefined)
}

/** What a key may use unless its record says it: all that clients do. */
const defaultSurfaces: readonly Surface[] = surfaces.filter((surface) => surface !== 'operator')

/** The surfaces of a client: a role opens what operators look at, and nothing else unless that is written. */
export function surfacesOf(
  written: readonly Surface[] | null | undefined,
  role: Role | null | undefined,
): ReadonlySet<Surface> {
  const own = written ?? (role ? [] : defaultSurfaces)
  return new Set(role ? [...own, 'operator'] : own)
}

/** A test for names: `*` matches any characters, including none and `/`; everything else matches literally and case-sensitively. */
export function nameMatcher(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const loose = patterns.filter((pattern) => pattern.includes('*')).map(expressionOf)
  return (name) => exact.has(name) || loose.some((expression) => expression.test(name))
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split(/\*+/).map((part) => part.replaceAll(/[\\^$.+?()[\]{}|/]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'su')
}
