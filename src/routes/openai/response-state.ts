import type { FastifyRequest } from 'fastify'
import { ClientTools } from '../../dialects/responses/client-tools.ts'
import { inputItems, type StoredItems } from '../../dialects/responses/request/input-read.ts'
import { readRequest } from '../../dialects/responses/request/read.ts'
import { writeResponse } from '../../dialects/responses/response/write.ts'
import { createWriter } from '../../dialects/responses/stream/write.ts'
import type { JsonObject } from '../../lib/json/read.ts'
import type { AnswerContext, ChatStreamWriter, Dialect } from '../../sdk/dialect.ts'
import { putHolder, type Responses } from './response-holder.ts'

/** Whether a request depends on responses that this router has stored. */
export function isStoredHere({ history, referenced }: StoredItems): boolean {
  return history !== undefined || referenced.size > 0
}

export interface RequestState {
  /** The resolved `previous_response_id` and item references of the request. */
  remembered: StoredItems
  /** Receives the final object of a complete response before the client does. */
  onAnswer: (answer: JsonObject) => void
}

/**
 * Returns a dialect with the state of a single request: the history that it continues, and the writer of its stream. An error
 * in the stream, `response.failed`, carries the id, the items so far and the next sequence number, which only the writer knows.
 */
export function withRequestState(dialect: Dialect, { remembered, onAnswer }: RequestState): Dialect {
  let writer: ChatStreamWriter | undefined
  const { native, ...rest } = dialect
  // Upstreams do not have responses stored by the router, so such a request is translated for every target.
  const needsTranslation = isStoredHere(remembered)
  const offeredBy = ({ request }: AnswerContext): ClientTools =>
    new ClientTools(request?.tools, inputItems(request?.input, remembered))
  return {
    ...rest,
    ...(native && !needsTranslation ? { native } : {}),
    chat: {
      ...dialect.chat,
      readRequest: (body, stream) => readRequest(body, stream, remembered),
      writeResponse(response, context) {
        const answer = writeResponse(response, context, offeredBy(context))
        onAnswer(answer)
        return answer
      },
      // Each attempt creates a writer; only events of the last one can have reached the client.
      createWriter(context) {
        writer = createWriter(context, onAnswer, offeredBy(context))
        return writer
      },
    },
    writeStreamError: (error, options) =>
      writer?.write({ type: 'error', error }) || dialect.writeStreamError(error, options),
  }
}

interface StoringOptions {
  request: FastifyRequest
  body: Record<string, unknown>
  store: Pick<Responses, 'put'>
  /** Whether the response was announced to the store, which then waits for it. */
  isStored: boolean
  remembered: StoredItems
  dialect: Dialect
  /** The model as the client named it. */
  askedModel: string
}

/** Stores the response to a request before the client can refer to it. */
export class ResponseStoring {
  readonly #options: StoringOptions
  #response: JsonObject | undefined
  #stored: Promise<void> | undefined
  #remembersHolder = false

  constructor(options: StoringOptions) {
    this.#options = options
  }

  /** Receives the complete response. */
  onAnswer(response: JsonObject): void {
    const { request, body } = this.#options
    request.exchange.answerId = String(response.id)
    if (body.store !== false) this.#response = response
  }

  /**
   * Called before each write to the client, which waits for the returned promise. Stores nothing while processors may still
   * block the response.
   */
  beforeWrite(): Promise<void> | undefined {
    const { request, isStored, dialect } = this.#options
    const { processing } = request
    if (this.#stored || processing?.isJudging) return this.#stored
    // A blocked stream has no response to store.
    const written = this.#response ?? (isStored && processing?.isBlocked ? {} : undefined)
    if (!written) {
      this.rememberHolder()
      return undefined
    }
    // Store what the client gets: pseudonyms are only valid within one request.
    this.#stored = this.#store(
      processing?.responseForClient(written, dialect.contents?.answers ?? {}) ?? written,
    )
    return this.#stored
  }

  /**
   * Remembers the server that stores the response, if the router does not. Called with the first bytes, because a client may
   * cancel a background response while it is streamed.
   */
  rememberHolder(): void {
    const { request, store, body, askedModel } = this.#options
    if (body.store === false || this.#response || this.#stored || request.processing) return
    if (this.#remembersHolder || request.exchange.answerId === undefined) return
    this.#remembersHolder = true
    const isUncounted = body.background === true && !request.exchange.stream
    void this.#logFailure(putHolder(store, request, { askedModel, isUncounted }))
  }

  async #store(response: JsonObject): Promise<void> {
    const { body, remembered, store } = this.#options
    const input = inputItems(body.input, remembered).map(({ item }) => item)
    await this.#logFailure(store.put(String(response.id), { response, input }))
  }

  async #logFailure(storing: Promise<void>): Promise<void> {
    const { request } = this.#options
    try {
      await storing
    } catch (error) {
      const name = error instanceof Error ? error.name : typeof error
      request.log.warn({ ...request.exchange.logIds, error_name: name }, 'response could not be stored')
    }
  }
}
