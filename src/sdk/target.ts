import type { Connection } from './connection.ts'
import type { SystemTurns } from './dialect.ts'
import type { EngineListing } from './engine-listings.ts'
import type { MockSettings } from './mock-settings.ts'
import type { Profile } from './profile.ts'
import type { CallForm, Operation, ProviderType } from './provider.ts'

export type { MockSettings }

/** One configured upstream of one model. Never changes after loading. */
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
  /** Paths of calls of another form than `whole`, if they differ. */
  readonly formPaths?: Readonly<Partial<Record<CallForm, Target['paths']>>>
  readonly token: string | undefined
  /** Absent: directly. */
  readonly connection?: Connection
  /** 0 to 1. */
  readonly weight: number
  /** It gets exactly the share of sessions set by its weight. */
  readonly canary?: boolean
  /** Accelerators of its server, for metrics of its time; absent: 1. */
  readonly gpus?: number
  /** Context length in tokens; 0 when unknown. */
  readonly inputSize: number
  /** False: tools, tool_choice and parallel_tool_calls never go upstream. */
  readonly toolCalling: boolean
  /** Request members that never go upstream, by their wire name there. */
  readonly dropParams: readonly string[]
  /** Defaults for members that the client does not set, by wire name at the upstream. */
  readonly defaults: Readonly<Record<string, unknown>>
  /** Whether the router may ask for token counts on its own in streams. */
  readonly streamUsage: boolean
  /** Whether the token limit is lowered if the server reports that it does not fit after the prompt. */
  readonly fitMaxTokens?: boolean
  /** Translation of system turns after the first message; absent: `fold`. */
  readonly systemTurns?: SystemTurns
  /** Anthropic's own server, rather than a compatible one. */
  readonly isAnthropic?: boolean
  readonly mock: MockSettings
  /** Most inputs of one embedding request; absent: no limit is known. */
  readonly maxBatch?: number
  /** Maximum concurrency; `auto`: as reported by its engine. Absent: unlimited, or one with an exclusive strategy. */
  readonly maxInFlight?: number | 'auto'
  /** Whether requests carry their priority to the engine, in the member `priority`. */
  readonly passesPriority?: boolean
  /** Whether the context length is chosen by prompt size, if neither request nor configuration sets it. */
  readonly autoContext?: boolean
  /** Model lists of its server, each with its path from the root of the host. */
  readonly listings?: readonly EngineListing[]
  /** Whether the router may wake its engine. */
  readonly wake?: boolean
  /** Path of its server's root, without a slash at its end: where an engine's own endpoints are. Absent: an embedded type. */
  readonly rootPath?: string
  /** Path of the cheap check for a sign of life; absent: it is not checked. */
  readonly healthPath?: string
  /** Path of the question whether the engine sleeps; absent: it is not asked. */
  readonly sleepPath?: string
}

export interface Model {
  readonly alias: string
  readonly group: string
  readonly targets: readonly Target[]
  /** `providers_sleep`: parked, not used by default. */
  readonly sleeping: readonly Target[]
  /** Aliases of the models to try when all targets of this one fail, in order. */
  readonly fallbacks: readonly string[]
  /** Strategy of the model, if it overrides the default. */
  readonly strategy: string | undefined
  readonly embedding: boolean
  /** Longest wait of a request while no target can be used, in milliseconds; absent: the router's own setting. */
  readonly holdTimeoutMs?: number
  /** Capabilities in Ollama's terms; absent if not configured. */
  readonly capabilities?: readonly string[]
  /** Details shown by Ollama's clients: `family`, `parameter_size`, `quantization_level`, `format`. */
  readonly details?: Readonly<Record<string, string>>
}

/**
 * State of a server according to health checks. `doubtful`: the last ones failed, but too few to count. Down: `refused` (it
 * refuses connections, or cannot be reached), `silent` (its checks time out) and `failing` (they fail otherwise).
 * `loading` and `asleep`: reported by the server itself.
 */
export type CheckedState = 'up' | 'doubtful' | 'refused' | 'silent' | 'failing' | 'loading' | 'asleep'
