import type { Usage } from '../../sdk/chat.ts'
import { asRouterError } from '../../sdk/errors.ts'
import type { LimitedRequest, LimitReservation, LimitStore } from '../../stores/limits/store.ts'
import type { AnswerSizes } from './answer-sizes.ts'
import { spentTokens } from './limit-use.ts'
import { textTokens } from './prompt-estimate.ts'

/** What is known of a question before it is asked. */
export interface QuestionCost {
  /** Alias of the model. */
  model: string
  /** Of the whole prompt. */
  promptBytes: number
  /** What bounds its answer, in tokens; undefined: nothing does. */
  maxTokens: number | undefined
}

/** What came of it. */
export interface QuestionEnd {
  usage: Usage | undefined
  /** Of the answer's text, as far as it came. */
  answerBytes: number
  /** What was thrown; undefined: it was answered. */
  thrown?: unknown
}

/** What one question takes of the limits of the key it is asked for. */
export interface QuestionUse {
  /** Gives back what was reserved and counts what was taken. The first call counts, later ones do nothing. */
  end(end: QuestionEnd): Promise<void>
}

/** Of a key without limits. */
export const noUse: QuestionUse = { end: async () => undefined }

interface LimitedQuestionOptions {
  store: LimitStore
  sizes: AnswerSizes
  /** Of the question, which has been admitted. */
  wish: LimitedRequest
  cost: QuestionCost
}

export class LimitedQuestion implements QuestionUse {
  readonly #options: LimitedQuestionOptions
  readonly #startedAt = performance.now()
  readonly #promptTokens: number
  readonly #expectedTokens: number
  #ended = false

  constructor(options: LimitedQuestionOptions) {
    this.#options = options
    const { sizes, wish, cost } = options
    const { tokens: limit } = wish.limits
    const { model, maxTokens = Number.POSITIVE_INFINITY } = cost
    this.#promptTokens = textTokens(cost.promptBytes)
    this.#expectedTokens =
      limit === undefined ? 0 : Math.min(sizes.expected(wish.key, model, limit), maxTokens)
  }

  /** Undefined: its key has no limit for tokens. What is refused counts for nothing. */
  async reserve(): Promise<LimitReservation | undefined> {
    const { store, wish } = this.#options
    if (wish.limits.tokens === undefined) return undefined
    const tokens = this.#promptTokens + this.#expectedTokens
    try {
      const reservation = await store.reserve({ ...wish, tokens, requests: 1, slots: 1 })
      if (reservation.refusedBy !== undefined) await this.#undo()
      return reservation
    } catch (error) {
      await this.#undo()
      throw error
    }
  }

  async end({ usage, answerBytes, thrown }: QuestionEnd): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    const { store, sizes, wish, cost } = this.#options
    const { model, maxTokens = Number.POSITIVE_INFINITY } = cost
    const hasLeft = thrown !== undefined && asRouterError(thrown).kind === 'client_gone'
    const tokens = spentTokens({
      usage,
      end: thrown === undefined ? 'well' : hasLeft ? 'left' : 'error',
      generates: true,
      stream: false,
      promptTokens: this.#promptTokens,
      expectedTokens: this.#expectedTokens,
      answerBytes,
      sinceSentMs: performance.now() - this.#startedAt,
    })
    if (thrown === undefined && usage && usage.completionTokens < maxTokens)
      sizes.add(wish.key, model, usage.completionTokens)
    await store.settle({ ...wish, tokens })
  }

  async #undo(): Promise<void> {
    this.#ended = true
    const { store, wish } = this.#options
    await store.settle({ ...wish, tokens: 0, undone: true })
  }
}
