import type { Priority } from './strategy.ts'

/** The surfaces of the router that a key may be restricted to. `operator`: the operator endpoints. */
export const surfaces = ['openai', 'anthropic', 'gemini', 'ollama', 'text', 'operator'] as const

/** Priorities of a client's requests, highest first. */
export const priorities = ['high', 'normal', 'low'] as const

/** Roles of operators: read, change the fleet, change clients and budgets. Each role includes the previous ones. */
export const roles = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof roles)[number]

export type Surface = (typeof surfaces)[number]

/** Limits of one key. Absent: no limit. */
export interface KeyLimits {
  /** Requests that have not ended. */
  readonly concurrent?: number
  /** Requests that begin within any 60 seconds. */
  readonly requests?: number
  /** Prompt and completion tokens: a bucket that holds the tokens of one minute and refills evenly. */
  readonly tokens?: number
}

/** One client, as the keys file describes it, without its key. */
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
  /** Undefined without any limit. The strictest of each kind if groups restrict it too. */
  readonly limits: KeyLimits | undefined
  /** Its own limits and those of its groups, each counted separately; absent: `limits` are its own. */
  readonly limitScopes?: readonly { readonly key: string; readonly limits: KeyLimits }[] | undefined
  /** Its role towards the router itself; absent: `operator` or none, depending on `surfaces`. */
  readonly role?: Role | undefined
  /** Id of the key that was used, of a client of the database. */
  readonly keyId?: string | undefined
  /** The group that it belongs to. */
  readonly group?: string | undefined
  /** Whether it may use the endpoint at this path, as sent by the client; absent: all. */
  readonly mayCall?: ((path: string) => boolean) | undefined
  /** Maximum tokens that one request may ask for. */
  readonly maxTokens: number | undefined
  /** Of its requests; absent: `normal`. */
  readonly priority?: Priority | undefined
  /** Its share among clients with waiting requests, above 0; absent: 1. */
  readonly weight?: number | undefined
  /** Whether its requests may set their own priority. */
  readonly choosesPriority?: boolean
  /** Whether its requests may select or avoid canaries. */
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

/** Default surfaces of a key: all client surfaces. */
const defaultSurfaces: readonly Surface[] = surfaces.filter((surface) => surface !== 'operator')

/** The surfaces of a client: a role opens the operator surface, and no others unless they are listed. */
export function surfacesOf(
  written: readonly Surface[] | null | undefined,
  role: Role | null | undefined,
): ReadonlySet<Surface> {
  const own = written ?? (role ? [] : defaultSurfaces)
  return new Set(role ? [...own, 'operator'] : own)
}

/**
 * A test for names: `*` matches any characters, including none and `/`; everything else matches literally and case-sensitively.
 */
export function nameMatcher(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const loose = patterns.filter((pattern) => pattern.includes('*')).map(expressionOf)
  return (name) => exact.has(name) || loose.some((expression) => expression.test(name))
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split(/\*+/).map((part) => part.replaceAll(/[\\^$.+?()[\]{}|/]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'su')
}
