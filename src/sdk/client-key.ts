import type { Priority } from './strategy.ts'

/** The surfaces of the router that a key may be kept to. `operator` is what those look at who run it. */
export const surfaces = ['openai', 'anthropic', 'gemini', 'ollama', 'text', 'operator'] as const

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
  /** Undefined when it has none at all. */
  readonly limits: KeyLimits | undefined
  /** The most tokens that one request may ask for. */
  readonly maxTokens: number | undefined
  /** Of its requests; absent: `normal`. */
  readonly priority?: Priority | undefined
  /** Its share among the clients whose requests wait, over 0; absent: 1. */
  readonly weight?: number | undefined
  /** Whether its requests may name their own priority. */
  readonly choosesPriority?: boolean
}

/** A test for names: `*` stands for any characters, also none and `/`; all else for itself, in its own case. */
export function nameMatcher(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const loose = patterns.filter((pattern) => pattern.includes('*')).map(expressionOf)
  return (name) => exact.has(name) || loose.some((expression) => expression.test(name))
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split(/\*+/).map((part) => part.replaceAll(/[\\^$.+?()[\]{}|/]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'su')
}
