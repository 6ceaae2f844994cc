import type { FastifyReply, FastifyRequest } from 'fastify'
import { membersOf, membersOfChat } from '../../processors/cache/answer-key.ts'
import { type BypassReason, bypassReason } from '../../processors/cache/bypass.ts'
import type { ChatClient } from '../../relay/answer/client-stream.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { answerChat } from '../../relay/run/chat.ts'
import { answerEmbedding, type ClientEmbedding, type EmbeddingAnswer } from '../../relay/run/embedding.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { AnswerKey } from '../../stores/answer-cache/store.ts'
import { type CacheContext, CacheFlow, type CacheJob } from './cache-flow.ts'
import { recordingClient } from './recording-client.ts'
import { fitsForm, replay, withoutTimes } from './replay.ts'
import type { CacheKeyInput } from './request-key.ts'

export interface RequestCacheOptions extends CacheContext {
  keyOf(asked: CacheKeyInput): AnswerKey
}

/** The cache for one request that has passed permissions, limits and request processors. */
export class RequestCache {
  readonly #options: RequestCacheOptions
  readonly #request: FastifyRequest
  readonly #flow: CacheFlow

  constructor(options: RequestCacheOptions, request: FastifyRequest, reply: FastifyReply) {
    this.#options = options
    this.#request = request
    this.#flow = new CacheFlow(options, request, reply)
  }

  /**
   * Answers a chat from the cache or by asking the model. `end` receives hits and new responses alike, and includes the response
   * processors. Throws like `answerChat`.
   */
  chat(client: ClientRequest, end: ChatClient, services: RelayServices): Promise<void> {
    const { rule, keyOf } = this.#options
    const { exchange } = this.#request
    const { source, remembers, only, outline, dialect } = client
    const isContinued = remembers === true || only !== undefined
    const job: CacheJob<void> = {
      bypass: this.#unprocessed() ?? (isContinued ? 'previous_response_id' : bypassReason(outline, rule)),
      key: () => {
        const body =
          source.from === 'client' ? membersOf(source.bytes, source.scan) : membersOfChat(source.request)
        return keyOf({ ...client, services, parts: [source.from, ...body] })
      },
      fits: (answer) => fitsForm(answer, client),
      send: (answer) => replay(answer, client, end, exchange),
      requestModel: ({ flight, keep }) => {
        if (!keep) return answerChat(client, end, services)
        const recording = recordingClient(end, {
          dialect,
          flight,
          maxBytes: rule.maxEntryBytes,
          tools: rule.tools,
          isGone: () => flight !== undefined && exchange.signal.aborted,
          mayKeep: () => exchange.answeringModel === undefined,
          keep(answer) {
            // Some dialects have only estimated token counts in streams.
            const usage = exchange.usage ?? answer.usage
            keep({ ...answer, ...(usage ? { usage } : {}) })
          },
        })
        return answerChat(client, recording, flight ? { ...services, signal: flight.signal } : services)
      },
    }
    return this.#flow.run(job, services.signal ?? exchange.signal)
  }

  /** Answers an embedding from the cache, or asks a target and caches the answer. */
  embedding(client: ClientEmbedding, services: RelayServices): Promise<EmbeddingAnswer> {
    const { exchange } = this.#request
    const { bytes, scan } = client
    const job: CacheJob<EmbeddingAnswer> = {
      bypass: this.#unprocessed(),
      key: () => this.#options.keyOf({ ...client, services, parts: membersOf(bytes, scan) }),
      fits: ({ whole }) => whole !== undefined,
      send: ({ whole = '' }) => ({ body: withoutTimes(whole) }),
      async requestModel({ flight, keep }) {
        const answer = await answerEmbedding(
          client,
          flight ? { ...services, signal: flight.signal } : services,
        )
        const { body, headers } = answer
        // Binary embeddings need other headers and are not stored.
        const isJson = headers === undefined || headers['content-type'] === 'application/json'
        const { usage } = exchange
        if (isJson) keep?.({ whole: body.toString(), ...(usage ? { usage } : {}) })
        return answer
      },
    }
    return this.#flow.run(job, services.signal ?? exchange.signal)
  }

  /** A request that a failed processor let pass may be unmasked, so its response is not stored. */
  #unprocessed(): BypassReason | undefined {
    const steps = this.#request.exchange.processed?.steps ?? []
    return steps.some(({ outcome }) => outcome === 'failed_open') ? 'processor' : undefined
  }
}
