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
  /** Id of its server, where each address of the server is a target of its own. */
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
  /** The same for calls of another form than `whole`, where their path is another. */
  readonly formPaths?: Readonly<Partial<Record<CallForm, Target['paths']>>>
  readonly token: string | undefined
  /** Absent: directly. */
  readonly connection?: Connection
  /** 0 to 1. */
  readonly weight: number
  /** It gets the share of sessions that its weight says, and no others. */
  readonly canary?: boolean
  /** Accelerators of its server, for metrics of its time; absent: 1. */
  readonly gpus?: number
  /** Context length in tokens; 0 when unknown. */
  readonly inputSize: number
  /** False: tools, tool_choice and parallel_tool_calls never go upstream. */
  readonly toolCalling: boolean
  /** Request members that never go upstream, by their wire name there. */
  readonly dropParams: readonly string[]
  /** Request members for what the client leaves out, by their wire name at the upstream. */
  readonly defaults: Readonly<Record<string, unknown>>
  /** Whether the router may ask for token counts on its own in streams. */
  readonly streamUsage: boolean
  /** Whether the limit of the answer is lowered where the server says that it does not fit behind the prompt. */
  readonly fitMaxTokens?: boolean
  /** What becomes of system turns behind the first message, in translation; absent: `fold`. */
  readonly systemTurns?: SystemTurns
  /** It is Anthropic's own server, not another one that speaks its API. */
  readonly isAnthropic?: boolean
  readonly mock: MockSettings
  /** Most inputs of one embedding request; absent: no limit is known. */
  readonly maxBatch?: number
  /** Most requests at a time; `auto`: what its engine tells. Absent: any number, or one with an exclusive strategy. */
  readonly maxInFlight?: number | 'auto'
  /** Whether requests carry their priority to the engine, in the member `priority`. */
  readonly passesPriority?: boolean
  /** Whether the context length is chosen by the size of the prompt, where neither request nor configuration says it. */
  readonly autoContext?: boolean
  /** Where its server lists its models, each with its path from the root of the host. */
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
  /** Name of the strategy, where the model has its own. */
  readonly strategy: string | undefined
  readonly embedding: boolean
  /** Longest wait of a request while no target can be used, in milliseconds; absent: the router's own setting. */
  readonly holdTimeoutMs?: number
  /** What the model can do, in Ollama's words; absent: not configured. */
  readonly capabilities?: readonly string[]
  /** What Ollama's clients show of a model: `family`, `parameter_size`, `quantization_level`, `format`. */
  readonly details?: Readonly<Record<string, string>>
}

/**
 * What the health checks say of a server. `doubtful`: the last ones failed, but too few to count. Down are `refused` (it
 * refuses connections, or cannot be reached), `silent` (its checks time out) and `failing` (they fail otherwise).
 * `loading` and `asleep`: it says so itself.
 */
export type CheckedState = 'up' | 'doubtful' | 'refused' | 'silent' | 'failing' | 'loading' | 'asleep'
