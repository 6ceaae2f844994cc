import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Usage } from '../../sdk/chat.ts'
import type {
  LimitDemand,
  LimitedRequest,
  LimitReservation,
  LimitSettlement,
  LimitStore,
} from '../../stores/limits/store.ts'
import type { AnswerSizes } from './answer-sizes.ts'
import { textTokens, uploadTokens } from './prompt-estimate.ts'
import { costOf, type RequestCost } from './request-cost.ts'

export interface LimitUseOptions {
  store: LimitStore
  sizes: AnswerSizes
  wish: LimitedRequest
  request: FastifyRequest
}

/** What one request of a key with limits takes of them, from its admission to its end. */
export class LimitUse {
  readonly wish: LimitedRequest
  readonly #options: LimitUseOptions
  #cost: RequestCost | undefined
  /** Of all answers together. */
  #expectedTokens = 0
  #reserving: Promise<LimitReservation | undefined> = Promise.resolve(undefined)
  #refused = false
  #slots: number | undefined
  /** Of several upstream requests: those that have begun, and those of them that gave no count. */
  #begun = 0
  #uncounted = 0
  #addedBytes = 0
  #handingOver: Promise<void> | undefined

  constructor(options: LimitUseOptions) {
    this.#options = options
    this.wish = options.wish
  }

  /** How many upstream requests of it may run at a time; undefined: as many as it would. */
  get slots(): number | undefined {
    return this.#slots
  }

  /**
   * What it is about to take, as far as its key has a limit for it; undefined where that is no more than its admission.
   * Call it once, when the body has been read. `model`: the alias of the model that it names.
   */
  demand(model: string | undefined): LimitDemand | undefined {
    const { sizes, wish, request } = this.#options
    const { tokens: limit } = wish.limits
    const cost = costOf(request)
    this.#cost = cost
    if (!cost.asksModel) return undefined
    if (limit !== undefined && cost.answers > 0) {
      const each = Math.min(sizes.expected(wish.key, model, limit), cost.maxTokens)
      this.#expectedTokens = Math.ceil(each * cost.answers)
    }
    const tokens = limit === undefined ? 0 : cost.promptTokens + this.#expectedTokens
    if (tokens === 0 && cost.requests === 1 && cost.atOnce === 1) return undefined
    return { ...wish, tokens, requests: cost.requests, slots: cost.atOnce }
  }

  async reserve(demand: LimitDemand): Promise<LimitReservation> {
    const reserving = this.#options.store.reserve(demand)
    this.#reserving = reserving
    const reservation = await reserving
    this.#refused = reservation.refusedBy !== undefined
    this.#slots = reservation.slots
    return reservation
  }

  /** It is not let in after all. */
  refuse(): void {
    this.#refused = true
  }

  /** From here on each question that is asked for it counts by itself, and it counts for nothing. */
  handOver(): Promise<void> {
    this.#refused = true
    this.#handingOver ??= this.settle(this.end())
    return this.#handingOver
  }

  /** One of its several upstream requests begins. Call the result when what it took is counted, or was nothing. */
  begin(): () => void {
    this.#begun++
    this.#uncounted++
    return () => this.#uncounted--
  }

  /** Its prompt has more than its client has sent. `text`: is only asked for where it matters. */
  addPrompt(text: () => string): void {
    if (this.wish.limits.tokens !== undefined) this.#addedBytes += Buffer.byteLength(text())
  }

  /** To be called in the turn in which its response closes: what is still under way then is not counted any more. */
  end(): LimitSettlement {
    const cost = this.#cost
    if (this.#refused) return { ...this.wish, tokens: 0, undone: true }
    if (!cost) return { ...this.wish, tokens: 0 }
    if (this.wish.limits.tokens !== undefined) this.#learn(cost)
    if (cost.requests === 1) return { ...this.wish, tokens: this.#spent(cost) }
    return { ...this.wish, tokens: this.#spentOnSeveral(cost), requests: this.#begun }
  }

  async settle(end: LimitSettlement): Promise<void> {
    const { store } = this.#options
    // Else what is set aside for it could come after its end, and stay.
    await this.#reserving.catch(() => undefined)
    await store.settle(end)
  }

  #spent({ promptTokens, answers }: RequestCost): number {
    const { exchange, body } = this.#options.request
    const { error, sentAt } = exchange
    const received = body instanceof Readable ? uploadTokens(exchange.receivedBytes) : promptTokens
    return spentTokens({
      usage: exchange.usage,
      end: error === undefined ? 'well' : error.kind === 'client_gone' ? 'left' : 'error',
      generates: answers > 0,
      stream: exchange.stream,
      promptTokens: received + textTokens(this.#addedBytes),
      expectedTokens: this.#expectedTokens,
      answerBytes: exchange.bodyBytes - exchange.idleBytes,
      sinceSentMs: sentAt === undefined ? undefined : performance.now() - sentAt,
    })
  }

  #spentOnSeveral({ promptTokens, requests }: RequestCost): number {
    const { usage } = this.#options.request.exchange
    const each = (promptTokens + this.#expectedTokens) / requests
    const counted = (usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0)
    return counted + Math.ceil(each * this.#uncounted)
  }

  /** How long the answers were, unless they were cut at the length that was asked for. */
  #learn({ requests, answers, maxTokens }: RequestCost): void {
    const { sizes, request, wish } = this.#options
    const { usage, model, error } = request.exchange
    const answered = requests === 1 ? answers : this.#begun - this.#uncounted
    if (error || !usage || model === undefined || answers === 0 || answered === 0) return
    const each = Math.ceil(usage.completionTokens / answered)
    if (each < maxTokens) sizes.add(wish.key, model, each)
  }
}

export interface Spending {
  /** As the upstream counted, as far as it came. */
  usage: Usage | undefined
  /** How the request ended: well, with an error, or because its client left. */
  end: 'well' | 'error' | 'left'
  /** Whether a model writes the answer. */
  generates: boolean
  /** Whether the answer goes to the client as it is written. */
  stream: boolean
  /** Of the prompt, estimated. */
  promptTokens: number
  /** What the answer is expected to take, at most. */
  expectedTokens: number
  /** Of the answer that have gone to the client. */
  answerBytes: number
  /** Since the request went upstream, in milliseconds; undefined: it never did. */
  sinceSentMs: number | undefined
}

/** One piece of a stream with all its JSON; most servers send a piece for each token. */
const bytesPerStreamedToken = 128
/** What a server writes for one request, in tokens a second. */
const writtenPerSecond = 50

/**
 * Tokens that a request has taken: as counted upstream where the answer ended well, and nothing where there was none. What
 * was not counted is estimated, which is so when a client leaves in the middle: else who always leaves before the end would
 * pay nothing.
 */
export function spentTokens(spending: Spending): number {
  const { usage, end, sinceSentMs, answerBytes, promptTokens, generates } = spending
  if (usage && end === 'well') return usage.promptTokens + usage.completionTokens
  const counted = (usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0)
  if (sinceSentMs === undefined || (end === 'error' && answerBytes === 0)) return counted
  const prompt = usage?.promptTokens && generates ? usage.promptTokens : promptTokens
  if (!generates) return Math.max(counted, prompt)
  return prompt + Math.max(usage?.completionTokens ?? 0, writtenTokens(spending, sinceSentMs))
}

/** Of an answer that nobody counted. */
function writtenTokens({ end, stream, answerBytes, expectedTokens }: Spending, sinceSentMs: number): number {
  if (stream) return Math.ceil(answerBytes / bytesPerStreamedToken)
  if (end === 'well') return textTokens(answerBytes)
  // Its client left while it was written, and nobody has seen how far it came.
  return Math.min(expectedTokens, Math.ceil((sinceSentMs * writtenPerSecond) / 1000))
}
