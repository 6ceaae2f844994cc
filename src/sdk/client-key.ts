import type { Priority } from './strategy.ts'

/** The surfaces of the router that a key may be restricted to. `operator`: the operator endpoints. */
export const surfaces = ['openai', 'anthropic', 'gemini', 'ollama', 'text', 'operator'] as const

/** Roles of operators: read, change the fleet, change clients and budgets. Each role includes the previous ones. */
export const roles = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof roles)[number]

export type Surface = (typeof surfaces)[number]

/** Limits of one key. Absent: no limit. */
export interface KeyLimits {
  /** Maximum concurrent requests. */
  readonly concurrent?: number
  /** Maximum requests that begin within any 60 seconds. */
  readonly requests?: number
  /** Prompt and completion tokens per minute: a token bucket with a capacity of one minute that refills evenly. */
  readonly tokens?: number
}

/** One client and what it may do, without its secret key. */
export interface ClientKey {
  /** Name in the log and in metrics. */
  readonly id: string
  readonly enabled: boolean
  /** Milliseconds since 1970; undefined: never. */
  readonly expiresAt: number | undefined
  readonly surfaces: ReadonlySet<Surface>
  /** Names and patterns of models, for display; undefined: all. */
  readonly models: readonly string[] | undefined
  /** Whether it may use the model with this alias, as written in models-config.json. */
  mayUse(alias: string): boolean
  /** Effective limits: for each kind the strictest among the client's and its groups'. Undefined if there are none. */
  readonly limits: KeyLimits | undefined
  /** Limits of the client and of each of its groups, each counted separately; absent: only `limits` apply, per client. */
  readonly limitScopes?: readonly { readonly key: string; readonly limits: KeyLimits }[] | undefined
  /** Role for managing the router; absent: `operator` if `surfaces` contains it, otherwise none. */
  readonly role?: Role | undefined
  /** Id of the key that was used; only for clients in the database. */
  readonly keyId?: string | undefined
  /** Id of the group that the client belongs to. */
  readonly group?: string | undefined
  /** Whether the client may use the endpoint at this path (as sent by the client); absent: all endpoints. */
  readonly mayCall?: ((path: string) => boolean) | undefined
  /** Maximum tokens that one request may ask for. */
  readonly maxTokens: number | undefined
  /** Priority of the client's requests; absent: `normal`. */
  readonly priority?: Priority | undefined
  /** Its share among clients with waiting requests, above 0; absent: 1. */
  readonly weight?: number | undefined
  /** Whether its requests may set their own priority. */
  readonly choosesPriority?: boolean
  /** Whether its requests may select or avoid canaries. */
  readonly choosesCanary?: boolean
}

/** Whether an enabled client has at least the given role. */
export function hasRole(client: ClientKey, needed: Role): boolean {
  const role = roleOf(client)
  return client.enabled && role !== undefined && roles.indexOf(role) >= roles.indexOf(needed)
}

export function roleOf({ role, surfaces: permitted }: ClientKey): Role | undefined {
  return role ?? (permitted.has('operator') ? 'operator' : undefined)
}

/** Default surfaces of a key: all client surfaces. */
const defaultSurfaces: readonly Surface[] = surfaces.filter((surface) => surface !== 'operator')

/** Effective surfaces of a client. A role adds `operator`; without a list of surfaces it adds nothing else. */
export function surfacesOf(
  configured: readonly Surface[] | null | undefined,
  role: Role | null | undefined,
): ReadonlySet<Surface> {
  const listed = configured ?? (role ? [] : defaultSurfaces)
  return new Set(role ? [...listed, 'operator'] : listed)
}

/**
 * Returns a predicate for names: `*` matches any characters, including none and `/`; the rest matches literally,
 * case-sensitively.
 */
export function nameMatcher(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const wildcards = patterns.filter((pattern) => pattern.includes('*')).map(expressionOf)
  return (name) => exact.has(name) || wildcards.some((expression) => expression.test(name))
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split(/\*+/).map((part) => part.replaceAll(/[\\^$.+?()[\]{}|/]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'su')
}
