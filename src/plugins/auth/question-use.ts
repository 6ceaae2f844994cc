import type { Usage } from '../../sdk/chat.ts'
import { asRouterError } from '../../sdk/errors.ts'
import type { LimitedRequest, LimitReservation, LimitStore } from '../../stores/limits/store.ts'
import type { AnswerSizes } from './answer-sizes.ts'
import { spentTokens } from './limit-use.ts'
import { textTokens } from './prompt-estimate.ts'

/** What a question (an extension's own call to a model) may cost, as far as known in advance. */
export interface QuestionCost {
  /** Alias of the model. */
  model: string
  /** Size of the whole prompt. */
  promptBytes: number
  /** Maximum tokens of the response; undefined for no maximum. */
  maxTokens: number | undefined
}

/** Outcome of a question. */
export interface QuestionEnd {
  usage: Usage | undefined
  /** Bytes of text received. */
  answerBytes: number
  /** The error thrown; undefined on success. */
  thrown?: unknown
}

/** A question's use of the limits of its client's key. */
export interface QuestionUse {
  /** Releases the reservation and counts what was used. Only the first call has an effect. */
  end(end: QuestionEnd): Promise<void>
}

/** For a key without limits. */
export const noUse: QuestionUse = { end: async () => undefined }

interface LimitedQuestionOptions {
  store: LimitStore
  sizes: AnswerSizes
  /** The admitted question. */
  limited: LimitedRequest
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
    const { sizes, limited, cost } = options
    const { tokens: limit } = limited.limits
    const { model, maxTokens = Number.POSITIVE_INFINITY } = cost
    this.#promptTokens = textTokens(cost.promptBytes)
    this.#expectedTokens =
      limit === undefined ? 0 : Math.min(sizes.expected(limited.key, model, limit), maxTokens)
  }

  /** A rejected call is not counted. */
  async reserve(): Promise<LimitReservation> {
    const { store, limited } = this.#options
    const tokens = limited.limits.tokens === undefined ? 0 : this.#promptTokens + this.#expectedTokens
    try {
      const reservation = await store.reserve({ ...limited, tokens, requests: 1, slots: 1 })
      if (reservation.rejectedBy !== undefined) await this.#undo()
      return reservation
    } catch (error) {
      await this.#undo()
      throw error
    }
  }

  async end({ usage, answerBytes, thrown }: QuestionEnd): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    const { store, sizes, limited, cost } = this.#options
    const { model, maxTokens = Number.POSITIVE_INFINITY } = cost
    const isDisconnected = thrown !== undefined && asRouterError(thrown).kind === 'client_gone'
    const tokens = spentTokens({
      usage,
      end: thrown === undefined ? 'success' : isDisconnected ? 'disconnected' : 'error',
      generates: true,
      stream: false,
      promptTokens: this.#promptTokens,
      expectedTokens: this.#expectedTokens,
      answerBytes,
      sinceSentMs: performance.now() - this.#startedAt,
    })
    if (thrown === undefined && usage && usage.completionTokens < maxTokens)
      sizes.add(limited.key, model, usage.completionTokens)
    await store.settle({ ...limited, tokens })
  }

  async #undo(): Promise<void> {
    this.#ended = true
    const { store, limited } = this.#options
    await store.settle({ ...limited, tokens: 0, undone: true })
  }
}
