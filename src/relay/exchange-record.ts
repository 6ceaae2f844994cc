import type { Usage } from '../sdk/chat.ts'
import type { RouterError } from '../sdk/errors.ts'
import type { ProcessedContent } from './processed.ts'
import type { RequestTrace } from './trace.ts'

export type ExchangeOutcome = 'success' | 'client_error' | 'error' | 'truncated' | 'client_gone'

/** `bypass`: the cache was neither read nor written. */
export type CacheOutcome = 'hit' | 'miss' | 'bypass'

/** What the log and the metrics record of one request when it is over. */
export interface ExchangeRecord {
  id: string
  method: string
  /** The route's pattern, or `unmatched`. */
  endpoint: string
  status: number
  outcome: ExchangeOutcome
  durationMs: number
  dialect: string | undefined
  /** Alias of the model; set once it is known to exist. */
  model: string | undefined
  /** Alias of the fallback model tried last; undefined if none was needed. */
  answeringModel: string | undefined
  target: string | undefined
  providerType: string | undefined
  /** Id of the client's key; undefined if no key is required. */
  client: string | undefined
  /** Id of the key, for a client in the database. */
  key: string | undefined
  stream: boolean
  attempts: number
  /** Each target that was tried, and its share of the work. */
  work: readonly TargetWork[]
  /** Why each target was picked; undefined if none was. */
  reason?: string | undefined
  /** Time spent in the router itself, in milliseconds, without upstreams, waiting and receiving the request. */
  ownMs: number | undefined
  firstContentMs: number | undefined
  usage: Usage | undefined
  /** Estimate if no upstream reported token counts: prompt tokens by the request's size, and the response's limit. */
  estimatedTokens(): { prompt: number; maxCompletion: number }
  /** Milliseconds since the first attempt; undefined if there was none. */
  sinceSentMs: number | undefined
  dropped: readonly string[]
  /** The upstream's finish reason, if it is unknown to the router. */
  unknownReason?: string | undefined
  /** How the model was chosen, if the client requested `auto`. */
  auto?: { by: string; model: string } | undefined
  /** What processors did; undefined if none applied. */
  processed?: ProcessedContent | undefined
  /** Result of the response cache; undefined if none applied. */
  cache?: CacheOutcome | undefined
  error: RouterError | undefined
  requestBytes: number
  responseBytes: number
  /** Undefined if the request is not traced. */
  trace: RequestTrace | undefined
  /** Operation of the route, such as `chat`; undefined for routes that do not use a model. */
  operation?: string | undefined
}

/** One target's share of one request. */
export interface TargetWork {
  target: string
  /** Alias of the model that it serves. */
  model: string
  /** Server time in milliseconds, divided among all concurrent attempts at the server. */
  busyMs: number
}
