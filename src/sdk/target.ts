import type { EngineListing } from './engine-listings.ts'
import type { MockSettings } from './mock-settings.ts'
import type { Operation, ToolCallFormat } from './operation.ts'
import type { Profile, SystemTurns } from './profile.ts'
import type { ProviderType } from './provider.ts'
import type { Connection } from './transport.ts'

export type { MockSettings }

/** One model on one server. Immutable; a reload creates new targets. */
export interface Target {
  readonly id: string
  /** Alias of the model it serves. */
  readonly model: string
  /** Id of its server, if each address of the server is a separate target. */
  readonly server?: string
  /** Id of its server among the `servers` of the configuration; absent: it is not one of them. */
  readonly serverName?: string
  readonly type: ProviderType
  /** The model's name at the upstream. */
  readonly upstreamModel: string
  /** Limits of the model; absent: unknown. */
  readonly profile?: Profile
  /** Scheme, host and port; empty for embedded types. Never shown to clients. */
  readonly origin: string
  /** Path and query for each operation that the upstream offers. */
  readonly paths: Readonly<Partial<Record<Operation, string>>>
  /** Paths for forms other than `whole`, if they differ. */
  readonly formPaths?: Readonly<Partial<Record<ToolCallFormat, Target['paths']>>>
  readonly token: string | undefined
  /** Absent: a direct connection with Node's defaults. */
  readonly connection?: Connection
  /** 0 to 1. */
  readonly weight: number
  /** Whether it is a canary, which gets exactly the share of sessions set by its weight. */
  readonly canary?: boolean
  /** Number of accelerators of its server, for GPU-time metrics; absent: 1. */
  readonly gpus?: number
  /** Context length in tokens; 0 when unknown. */
  readonly inputSize: number
  /** false: `tools`, `tool_choice` and `parallel_tool_calls` are never sent upstream. */
  readonly toolCalling: boolean
  /** Request members that are never sent upstream, by their wire name there. */
  readonly dropParams: readonly string[]
  /** Defaults for members that the client does not set, by wire name at the upstream. */
  readonly defaults: Readonly<Record<string, unknown>>
  /** Whether the router may ask for token counts on its own in streams. */
  readonly streamUsage: boolean
  /** Whether to lower the token limit and retry if the server reports that prompt and limit exceed the context. */
  readonly fitMaxTokens?: boolean
  /** Translation of system turns after the first message; absent: `fold`. */
  readonly systemTurns?: SystemTurns
  /** Anthropic's own server, rather than a compatible one. */
  readonly isAnthropic?: boolean
  readonly mock: MockSettings
  /** Maximum inputs of one embedding request; absent: no known limit. */
  readonly maxBatch?: number
  /** Maximum concurrency; `auto`: as reported by its engine. Absent: unlimited, or one with an exclusive strategy. */
  readonly maxInFlight?: number | 'auto'
  /** Whether requests to the engine have a member `priority`. */
  readonly passesPriority?: boolean
  /** Whether the context length is chosen by prompt size, if neither request nor configuration sets it. */
  readonly autoContext?: boolean
  /** Model lists of its server, each with its path from the root of the host. */
  readonly listings?: readonly EngineListing[]
  /** Whether the router may wake its engine. */
  readonly wake?: boolean
  /** Path prefix of the engine's own endpoints, without a trailing slash. Absent: an embedded type. */
  readonly rootPath?: string
  /** Path of the health check; absent: not checked. */
  readonly healthPath?: string
  /** Path of the engine's sleep state; absent: not polled. */
  readonly sleepPath?: string
}

export interface Model {
  readonly alias: string
  readonly group: string
  readonly targets: readonly Target[]
  /** Standby targets (`providers_sleep`), not used by default. */
  readonly standby: readonly Target[]
  /** Aliases of the models to try when all targets of this one fail, in order. */
  readonly fallbacks: readonly string[]
  /** Strategy of the model, if it overrides the default. */
  readonly strategy: string | undefined
  readonly embedding: boolean
  /** Maximum wait of a request while no target can be used, in milliseconds; absent: the router's setting. */
  readonly holdTimeoutMs?: number
  /** Capabilities in Ollama's terms; absent if not configured. */
  readonly capabilities?: readonly string[]
  /** Details shown by Ollama's clients: `family`, `parameter_size`, `quantization_level`, `format`. */
  readonly details?: Readonly<Record<string, string>>
}

/** The targets of a model and its standby targets. */
export function allTargets({ targets, standby }: Pick<Model, 'targets' | 'standby'>): Target[] {
  return [...targets, ...standby]
}

/**
 * State of a server according to health checks. `degraded`: the latest checks failed, but fewer than the threshold. Down:
 * `refused` (it refuses connections or is unreachable), `silent` (checks time out) and `failing` (checks fail otherwise).
 * `loading` and `asleep` are reported by the server itself.
 */
export type CheckedState = 'up' | 'degraded' | 'refused' | 'silent' | 'failing' | 'loading' | 'asleep'
