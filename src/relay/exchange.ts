import { present, tokensOf } from '../lib/json/read.ts'
import type { Usage } from '../sdk/chat.ts'
import { RouterError } from '../sdk/errors.ts'
import type { PickReason } from '../sdk/strategy.ts'
import type { CacheOutcome, ExchangeOutcome, TargetWork } from './exchange-record.ts'
import { PickReasons } from './pick-reasons.ts'
import type { ProcessedContent } from './processed.ts'
import { replaceName } from './replace-name.ts'
import { type Step, Steps } from './steps.ts'
import { Timeline } from './timeline.ts'
import type { RequestTrace } from './trace.ts'

const nothing: ReadonlyMap<string, string> = new Map()

/** Maximum number of dropped fields that the log line and the headers name. */
const maxDropped = 1_000

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
  /** Alias of the fallback model being tried; undefined while the requested model is. */
  answeringModel: string | undefined
  attempts = 0
  readonly work: TargetWork[] = []
  /** Why the target of each attempt was picked. */
  readonly reasons = new PickReasons()
  readonly timeline = new Timeline()
  /** Whether response headers name the target. */
  showsRoute = false
  /** Start of the first attempt; same clock as `startedAt`. */
  sentAt: number | undefined
  /** Size of the request body, once it has been read completely. */
  receivedBytes = 0
  readonly steps: Steps
  /** When the request had been read, and when a whole response was ready; same clock as `startedAt`. */
  readAt: number | undefined
  answeredAt: number | undefined
  firstContentAt: number | undefined
  usage: Usage | undefined
  /** Tokens of internal calls that are charged to this request's client. */
  bookedTokens = 0
  /** The upstream's finish reason, if it is unknown and was translated as `stop`. */
  unknownReason: string | undefined
  /** Id with which a later request continues this response, in dialects that have one. */
  answerId: string | undefined
  /** Size of the response body so far, if it is not written by Fastify. */
  bodyBytes = 0
  /** Of these, bytes of a stream without content: keep-alives and its error. */
  idleBytes = 0
  error: RouterError | undefined
  /** How the model was chosen, if the client requested `auto`. */
  auto: { by: string; model: string } | undefined
  /** What processors did; undefined as long as none ran. */
  processed: ProcessedContent | undefined
  /** Result of the response cache; undefined if none applies. */
  cache: CacheOutcome | undefined
  trace: RequestTrace | undefined
  /** Its position among the open exchanges. */
  index = 0
  /** The model name in the request, which may be an alias. */
  requestedName: string | undefined
  /** Called as soon as the model is known. */
  onModel: (() => void) | undefined
  #model: string | undefined
  #dropped: Map<string, string> | undefined
  readonly #controller = new AbortController()
  #deadline: NodeJS.Timeout | undefined
  #brokenOff = false
  #closeListeners: (() => void)[] | undefined
  #openWork: Set<() => void> | undefined

  /** `onStep` is called at the end of each step of the request. */
  constructor(id: string, onStep: (step: Step, exchange: Exchange) => void = () => undefined) {
    this.id = id
    const now = (): number => performance.now()
    this.steps = new Steps(now, (step) => {
      if (step.type === 'pick') this.reasons.waited(step.ms)
      this.timeline.record(step, now)
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

  /** Aborted, with a RouterError as reason, when the client disconnects or the request exceeds its time limit. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Fields that the chosen upstream does not support, each once, with the reason. */
  get dropped(): ReadonlyMap<string, string> {
    return this.#dropped ?? nothing
  }

  /** An error as the client gets it, with the model name that the client used. */
  forClient(error: RouterError): RouterError {
    const { model, requestedName } = this
    if (model === undefined || requestedName === undefined || requestedName === model) return error
    const message = replaceName(error.message, model, requestedName)
    return message === error.message ? error : error.withMessage(message)
  }

  /** Fields of every log line of the request. */
  get logIds(): Record<string, string> {
    const { id, trace } = this
    if (!trace) return { request_id: id }
    return { request_id: id, trace_id: trace.traceId, span_id: trace.spanId }
  }

  /** Set for requests that were sent upstream. */
  ownMs(): number | undefined {
    if (this.readAt === undefined || this.attempts === 0) return undefined
    return this.steps.ownMs(this.readAt, this.answeredAt)
  }

  elapsedMs(): number {
    return performance.now() - this.startedAt
  }

  drop(field: string, why: string): void {
    this.#dropped ??= new Map()
    if (this.#dropped.size < maxDropped) this.#dropped.set(field, why)
  }

  /** Another target is tried: fields dropped for the previous one no longer matter. */
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

  /** Sum over all attempts that reported counts; a text endpoint may make several requests to a model. */
  addUsage(usage: Usage | undefined): void {
    if (!usage) return
    const before = this.usage
    // The dialect of an extension may report anything.
    const counted = (name: 'promptTokens' | 'completionTokens' | 'cachedTokens' | 'reasoningTokens') => {
      const count = tokensOf(usage[name])
      return count === undefined ? before?.[name] : (before?.[name] ?? 0) + count
    }
    const further = present({
      cachedTokens: counted('cachedTokens'),
      reasoningTokens: counted('reasoningTokens'),
    })
    const [promptTokens = 0, completionTokens = 0] = [counted('promptTokens'), counted('completionTokens')]
    this.usage = { promptTokens, completionTokens, ...further }
  }

  /** Starts an attempt at a target; `end` returns the target's share. Call the result once, at the end of the attempt. */
  beginWork({ id, model }: { id: string; model: string }, end: () => number): () => void {
    const done = (): void => {
      if (!this.#openWork?.delete(done)) return
      const busyMs = end()
      const same = this.work.find((each) => each.target === id && each.model === model)
      if (same) same.busyMs += busyMs
      else this.work.push({ target: id, model, busyMs })
    }
    this.#openWork ??= new Set()
    this.#openWork.add(done)
    return done
  }

  contentSeen(): void {
    this.firstContentAt ??= performance.now()
  }

  setDeadline(ms: number): void {
    if (ms <= 0) return
    this.#deadline = setTimeout(() => {
      const details = { code: 'timeout', causeCode: 'TIMEOUT_REQUEST' }
      this.abort(new RouterError('upstream_timeout', 'The request took too long', details))
    }, ms)
  }

  /** Stops everything that runs for this request; the client gets the error. */
  abort(error: RouterError): void {
    this.#controller.abort(error)
  }

  /** The router cuts the response because it cannot be completed: the close is not the client's. */
  markTruncated(error: RouterError): void {
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

  /** Targets that still work for it are counted up to now. */
  end(): void {
    for (const done of [...(this.#openWork ?? [])]) done()
  }

  outcome(status: number): ExchangeOutcome {
    if (this.error?.kind === 'client_gone') return 'client_gone'
    if (this.error && status < 400) return 'truncated'
    if (status >= 500) return 'error'
    return status >= 400 ? 'client_error' : 'success'
  }
}
