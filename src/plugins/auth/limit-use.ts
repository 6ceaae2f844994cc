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
  limited: LimitedRequest
  request: FastifyRequest
}

/** What one request takes from the limits of its key, from admission to end. */
export class LimitUse {
  readonly limited: LimitedRequest
  readonly #options: LimitUseOptions
  #cost: RequestCost | undefined
  /** For all responses together. */
  #expectedTokens = 0
  #reserving: Promise<LimitReservation | undefined> = Promise.resolve(undefined)
  #refused = false
  #ended = false
  #slots: number | undefined
  /** For several upstream requests: the number started, and those of them without a token count. */
  #begun = 0
  #uncounted = 0
  #addedBytes = 0
  #handingOver: Promise<void> | undefined

  constructor(options: LimitUseOptions) {
    this.#options = options
    this.limited = options.limited
  }

  /** How many upstream requests may run concurrently; undefined for no restriction. */
  get slots(): number | undefined {
    return this.#slots
  }

  /** Whether the response has closed: a later reservation would never be released. */
  get hasEnded(): boolean {
    return this.#ended
  }

  /**
   * Reserves the expected usage, as far as the key has limits for it. Call once, after the body has been read. `model`:
   * alias of the requested model.
   */
  demand(model: string | undefined): LimitDemand {
    const { sizes, limited, request } = this.#options
    const { tokens: limit } = limited.limits
    const cost = costOf(request)
    this.#cost = cost
    if (!cost.usesModel) return { ...limited, tokens: 0, requests: 1, slots: 1 }
    if (limit !== undefined && cost.answers > 0) {
      const each = Math.min(sizes.expected(limited.key, model, limit), cost.maxTokens)
      this.#expectedTokens = Math.ceil(each * cost.answers)
    }
    const tokens = limit === undefined ? 0 : cost.promptTokens + this.#expectedTokens
    return { ...limited, tokens, requests: cost.requests, slots: cost.atOnce }
  }

  async reserve(demand: LimitDemand): Promise<LimitReservation> {
    const reserving = this.#options.store.reserve(demand)
    this.#reserving = reserving
    const reservation = await reserving
    this.#refused = reservation.rejectedBy !== undefined
    this.#slots = reservation.slots
    return reservation
  }

  /** Marks the request as rejected after its admission. */
  refuse(): void {
    this.#refused = true
  }

  /** From here on, each internal call of this request is counted instead of the request itself. */
  handOver(): Promise<void> {
    this.#refused = true
    this.#handingOver ??= this.settle(this.end())
    return this.#handingOver
  }

  /**
   * Begins one of several upstream requests. Call the returned function once its tokens are counted or it took none.
   */
  begin(): () => void {
    this.#begun++
    this.#uncounted++
    return () => this.#uncounted--
  }

  /** Adds text to the prompt that the client did not send. `text` is called only if the key has a token limit. */
  addPrompt(text: () => string): void {
    if (this.limited.limits.tokens !== undefined) this.#addedBytes += Buffer.byteLength(text())
  }

  /** Call in the same tick as the response's `close`: what is still running afterwards is not counted. */
  end(): LimitSettlement {
    this.#ended = true
    const cost = this.#cost
    if (this.#refused) return { ...this.limited, tokens: 0, undone: true }
    if (!cost) return { ...this.limited, tokens: 0 }
    if (this.limited.limits.tokens !== undefined) this.#learn(cost)
    if (cost.requests === 1) return { ...this.limited, tokens: this.#spent(cost) }
    return { ...this.limited, tokens: this.#spentOnSeveral(cost), requests: this.#begun }
  }

  async settle(end: LimitSettlement): Promise<void> {
    const { store } = this.#options
    // Otherwise the reservation could arrive after its end and never be released.
    await this.#reserving.catch(() => undefined)
    await store.settle(end)
  }

  #spent({ promptTokens, answers }: RequestCost): number {
    const { exchange, body } = this.#options.request
    const { error, sentAt, bookedTokens } = exchange
    // The client has received less of a blocked response than was generated.
    const cutBytes = exchange.processed?.cutBytes
    const end = error === undefined ? 'success' : error.kind === 'client_gone' ? 'disconnected' : 'error'
    const received = body instanceof Readable ? uploadTokens(exchange.receivedBytes) : promptTokens
    const spent = spentTokens({
      usage: exchange.usage,
      end: cutBytes === undefined ? end : 'disconnected',
      generates: answers > 0,
      stream: exchange.stream,
      promptTokens: received + textTokens(this.#addedBytes),
      expectedTokens: this.#expectedTokens,
      answerBytes: cutBytes ?? exchange.bodyBytes - exchange.idleBytes,
      sinceSentMs: sentAt === undefined ? undefined : performance.now() - sentAt,
    })
    return spent + bookedTokens
  }

  #spentOnSeveral({ promptTokens, requests }: RequestCost): number {
    const { usage } = this.#options.request.exchange
    const each = (promptTokens + this.#expectedTokens) / requests
    const counted = (usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0)
    return counted + Math.ceil(each * this.#uncounted)
  }

  /** Records the response lengths, unless responses were cut off at the requested maximum. */
  #learn({ requests, answers, maxTokens }: RequestCost): void {
    const { sizes, request, limited } = this.#options
    const { usage, model, error } = request.exchange
    const answered = requests === 1 ? answers : this.#begun - this.#uncounted
    if (error || !usage || model === undefined || answers === 0 || answered === 0) return
    const each = Math.ceil(usage.completionTokens / answered)
    if (each < maxTokens) sizes.add(limited.key, model, each)
  }
}

export interface Spending {
  /** As counted upstream, as far as received. */
  usage: Usage | undefined
  /** How the request ended: successfully, with an error, or because the client disconnected. */
  end: 'success' | 'error' | 'disconnected'
  /** Whether a model generates the response. */
  generates: boolean
  /** Whether the response is streamed to the client. */
  stream: boolean
  /** Estimated tokens of the prompt. */
  promptTokens: number
  /** Upper estimate of the response's tokens. */
  expectedTokens: number
  /** Bytes of the response sent to the client. */
  answerBytes: number
  /** Milliseconds since the request was sent upstream; undefined if it was not. */
  sinceSentMs: number | undefined
}

/** Size of one stream event with its JSON; most servers send one event per token. */
export const bytesPerStreamedToken = 128
/** Assumed generation speed of one request, in tokens per second. */
export const writtenPerSecond = 50

/**
 * Tokens that a request has used: the upstream's count if the response ended successfully, nothing if there was no
 * response. Uncounted tokens are estimated, such as when a client disconnects midway: otherwise a client that always
 * disconnects before the end would use nothing.
 */
export function spentTokens(spending: Spending): number {
  const { usage, end, sinceSentMs, answerBytes, promptTokens, generates } = spending
  if (usage && end === 'success') return usage.promptTokens + usage.completionTokens
  const counted = (usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0)
  if (sinceSentMs === undefined || (end === 'error' && answerBytes === 0)) return counted
  const prompt = usage?.promptTokens && generates ? usage.promptTokens : promptTokens
  if (!generates) return Math.max(counted, prompt)
  return prompt + Math.max(usage?.completionTokens ?? 0, writtenTokens(spending, sinceSentMs))
}

/** Estimated tokens of a response without an upstream count. */
function writtenTokens({ end, stream, answerBytes, expectedTokens }: Spending, sinceSentMs: number): number {
  if (stream) return Math.ceil(answerBytes / bytesPerStreamedToken)
  if (end === 'success') return textTokens(answerBytes)
  // The client disconnected during generation, so the progress is unknown.
  return Math.min(expectedTokens, Math.ceil((sinceSentMs * writtenPerSecond) / 1000))
}
