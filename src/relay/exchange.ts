import type { Usage } from '../sdk/chat.ts'
import { RouterError } from '../sdk/errors.ts'
import type { PickReason } from '../sdk/strategy.ts'
import { PickReasons } from './pick-reasons.ts'
import type { ProcessedContent } from './processed.ts'
import { renameWhole } from './rename-whole.ts'
import { type Step, Steps } from './steps.ts'
import { Timeline } from './timeline.ts'
import type { RequestTrace } from './trace.ts'

export type ExchangeOutcome = 'success' | 'client_error' | 'error' | 'truncated' | 'client_gone'

/** `bypass`: the answer was neither looked for nor kept. */
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
  /** Alias of the model, only once it is known to exist. */
  model: string | undefined
  /** Alias of the fallback model that was tried last; undefined when none was needed. */
  answeringModel: string | undefined
  target: string | undefined
  providerType: string | undefined
  /** Id of the client's key; undefined where none is required. */
  client: string | undefined
  /** Id of the key of a client of the database. */
  key: string | undefined
  stream: boolean
  attempts: number
  /** What each target that was tried did for the request. */
  work: readonly TargetWork[]
  /** Why each target was picked; undefined where none was. */
  reason?: string | undefined
  /** The router's own time, in milliseconds: no upstream, no waiting, no transfer of the request. */
  ownMs: number | undefined
  firstContentMs: number | undefined
  usage: Usage | undefined
  /** For where no upstream has counted: tokens of the prompt by the request's size, and the most that may be written. */
  estimatedTokens(): { prompt: number; maxCompletion: number }
  /** Milliseconds since the first attempt; undefined if there was none. */
  sinceSentMs: number | undefined
  dropped: readonly string[]
  /** The upstream's word for the end of its answer, where nobody knows it. */
  unknownReason?: string | undefined
  /** What chose the model, where the client asked for `auto`. */
  auto?: { by: string; model: string } | undefined
  /** What processors did; undefined where none applied. */
  processed?: ProcessedContent | undefined
  /** What the cache of answers did; undefined where none applied. */
  cache?: CacheOutcome | undefined
  error: RouterError | undefined
  requestBytes: number
  responseBytes: number
  /** Undefined where the request is in no trace. */
  trace: RequestTrace | undefined
  /** What the route is for, such as `chat`; undefined for routes that ask no model. */
  operation?: string | undefined
}

/** What one target did for one request. */
export interface TargetWork {
  target: string
  /** Alias of the model that it serves. */
  model: string
  /** Its time, divided among all attempts that ran at the same server, in milliseconds. */
  busyMs: number
}

const nothing: ReadonlyMap<string, string> = new Map()

/**
 * The record of one client request, from arrival to its one ending. The ending is the close of the response, which
 * Node reports for every request whatever happened; nothing else ends it.
 */
export class Exchange {
  readonly id: string
  readonly startedAt = performance.now()
  dialect: string | undefined
  target: string | undefined
  providerType: string | undefined
  /** Id of the client's key. */
  client: string | undefined
  /** Id of the key, for clients of the database. */
  key: string | undefined
  stream = false
  /** Alias of the fallback model whose targets are tried; undefined while they are those of the requested model. */
  answeringModel: string | undefined
  attempts = 0
  readonly work: TargetWork[] = []
  /** Why each of them was made at its target. */
  readonly reasons = new PickReasons()
  readonly timeline = new Timeline()
  /** Whether the headers of the answer name the target. */
  tellsRoute = false
  /** When the first attempt began; on the clock of `startedAt`. */
  sentAt: number | undefined
  /** Of the request's body, once all of it has been read. */
  receivedBytes = 0
  readonly steps: Steps
  /** When the whole request had been read, and when a whole answer was ready; on the clock of `startedAt`. */
  readAt: number | undefined
  answeredAt: number | undefined
  firstContentAt: number | undefined
  usage: Usage | undefined
  /** The upstream's word for the end of its answer, where nobody knows it and it was translated as a plain one. */
  unknownReason: string | undefined
  /** Id by which a later request continues the answer, in dialects that have such ids. */
  answerId: string | undefined
  /** Of the answer's body so far, where it does not go through Fastify. */
  bodyBytes = 0
  /** Of these, the ones of a stream that has no content yet: what broke its silences, and its error. */
  idleBytes = 0
  error: RouterError | undefined
  /** What chose the model, where the client asked for `auto`. */
  auto: { by: string; model: string } | undefined
  /** What processors did; undefined while none has. */
  processed: ProcessedContent | undefined
  /** What the cache of answers did; undefined where none applies. */
  cache: CacheOutcome | undefined
  trace: RequestTrace | undefined
  /** Its position among the open exchanges. */
  index = 0
  /** The name that the client gave to the model, which may be an alias of it. */
  askedModel: string | undefined
  /** Called as soon as the model is known. */
  onModel: (() => void) | undefined
  #model: string | undefined
  #dropped: Map<string, string> | undefined
  readonly #controller = new AbortController()
  #deadline: NodeJS.Timeout | undefined
  #brokenOff = false
  #closeListeners: (() => void)[] | undefined
  readonly #openWork = new Set<() => void>()

  /** `onStep` is called with each step of the request when it is over. */
  constructor(id: string, onStep: (step: Step, exchange: Exchange) => void = () => undefined) {
    this.id = id
    const now = (): number => performance.now()
    this.steps = new Steps(now, (step) => {
      if (step.type === 'search') this.reasons.waited(step.ms)
      this.timeline.note(step, now)
      onStep(step, this)
    })
  }

  /** Alias of the requested model, once it is known to exist. */
  get model(): string | undefined {
    return this.#model
  }

  set model(alias: string | undefined) {
    this.#model = alias
    this.onModel?.()
  }

  /** Aborted, with a RouterError as reason, when the client has left or the whole request took too long. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Fields that the chosen upstream cannot carry, each once, with the reason. */
  get dropped(): ReadonlyMap<string, string> {
    return this.#dropped ?? nothing
  }

  /** An error as its client gets it: the model has the name there that the client knows it by. */
  forClient(error: RouterError): RouterError {
    const { model, askedModel } = this
    if (model === undefined || askedModel === undefined || askedModel === model) return error
    const message = renameWhole(error.message, model, askedModel)
    return message === error.message ? error : error.withMessage(message)
  }

  /** What every log line of the request carries. */
  get logIds(): Record<string, string> {
    const { id, trace } = this
    if (!trace) return { request_id: id }
    return { request_id: id, trace_id: trace.traceId, span_id: trace.spanId }
  }

  /** Known of a request that went upstream. */
  ownMs(): number | undefined {
    if (this.readAt === undefined || this.attempts === 0) return undefined
    return this.steps.ownMs(this.readAt, this.answeredAt)
  }

  elapsedMs(): number {
    return performance.now() - this.startedAt
  }

  drop(field: string, why: string): void {
    this.#dropped ??= new Map()
    this.#dropped.set(field, why)
  }

  /** Another target is tried: what the one before could not carry no longer matters. */
  beginAttempt(
    target: { id: string; type: { name: string } },
    why: { reason?: PickReason | undefined; after?: RouterError | undefined } = {},
  ): void {
    this.attempts++
    this.reasons.add(target.id, why)
    this.sentAt ??= performance.now()
    this.target = target.id
    this.providerType = target.type.name
    this.#dropped?.clear()
  }

  /** Of the attempts that gave counts; an endpoint that asks a model several times adds them up. */
  addUsage(usage: Usage | undefined): void {
    if (!usage) return
    const before = this.usage
    const sum = (a: number | undefined, b: number | undefined) =>
      a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0)
    const cachedTokens = sum(before?.cachedTokens, usage.cachedTokens)
    const reasoningTokens = sum(before?.reasoningTokens, usage.reasoningTokens)
    this.usage = {
      promptTokens: (before?.promptTokens ?? 0) + usage.promptTokens,
      completionTokens: (before?.completionTokens ?? 0) + usage.completionTokens,
      ...(cachedTokens === undefined ? {} : { cachedTokens }),
      ...(reasoningTokens === undefined ? {} : { reasoningTokens }),
    }
  }

  /** An attempt at a target begins; `end` returns what the target did for it. Call the result once at its end. */
  beginWork({ id, model }: { id: string; model: string }, end: () => number): () => void {
    const done = (): void => {
      if (!this.#openWork.delete(done)) return
      const busyMs = end()
      const same = this.work.find((each) => each.target === id && each.model === model)
      if (same) same.busyMs += busyMs
      else this.work.push({ target: id, model, busyMs })
    }
    this.#openWork.add(done)
    return done
  }

  contentSeen(): void {
    this.firstContentAt ??= performance.now()
  }

  limitTo(ms: number): void {
    if (ms <= 0) return
    this.#deadline = setTimeout(() => {
      const details = { code: 'timeout', causeCode: 'TIMEOUT_REQUEST' }
      this.abort(new RouterError('upstream_timeout', 'The request took too long', details))
    }, ms)
  }

  /** Ends whatever runs for this request; the client gets the error. */
  abort(error: RouterError): void {
    this.#controller.abort(error)
  }

  /** The answer is cut off on the way, because it cannot be completed: its close is not the client's doing. */
  breakOff(error: RouterError): void {
    this.error = error
    this.#brokenOff = true
  }

  /** Calls back when the response has closed. */
  onClose(listener: () => void): void {
    this.#closeListeners ??= []
    this.#closeListeners.push(listener)
  }

  /** The response has closed. `finished`: all of it was handed to the socket. */
  close(finished: boolean): void {
    clearTimeout(this.#deadline)
    if (!finished && !this.#brokenOff) {
      this.error = new RouterError('client_gone', 'The client closed the connection')
      this.abort(this.error)
    }
    this.end()
    for (const listener of this.#closeListeners ?? []) listener()
  }

  /** What its targets still do for it counts up to now. */
  end(): void {
    for (const done of [...this.#openWork]) done()
  }

  outcome(status: number): ExchangeOutcome {
    if (this.error?.kind === 'client_gone') return 'client_gone'
    if (this.error && status < 400) return 'truncated'
    if (status >= 500) return 'error'
    return status >= 400 ? 'client_error' : 'success'
  }
}
