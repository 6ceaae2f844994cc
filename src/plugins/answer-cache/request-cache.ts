import type { FastifyReply, FastifyRequest } from 'fastify'
import { membersOf, membersOfChat } from '../../processors/cache/answer-key.ts'
import { bypassReason } from '../../processors/cache/bypass.ts'
import type { ChatClient } from '../../relay/answer/client-stream.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { answerChat } from '../../relay/run/chat.ts'
import { answerEmbedding, type ClientEmbedding, type EmbeddingAnswer } from '../../relay/run/embedding.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { AnswerKey } from '../../stores/answers/store.ts'
import { CacheFlow, type CacheJob, type CacheSurroundings } from './cache-flow.ts'
import { recordingClient } from './recording-client.ts'
import { fitsForm, replay, withoutTimes } from './replay.ts'
import type { Asked } from './request-key.ts'

export interface RequestCacheOptions extends CacheSurroundings {
  keyOf(asked: Asked): AnswerKey
}

/** The cache for one request whose limits and permissions were checked and whose contents were processed. */
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
   * Answers a chat from the cache or by the model. `end`: where the answer goes, a kept one like a fresh one: what is done to answers
   * on their way to clients belongs behind it. Throws as `answerChat` does.
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
      give: (answer) => replay(answer, client, end, exchange),
      ask: ({ flight, keep }) => {
        if (!keep) return answerChat(client, end, services)
        const recording = recordingClient(end, {
          ...{ dialect, flight, maxBytes: rule.maxEntryBytes, tools: rule.tools },
          isGone: () => flight !== undefined && exchange.signal.aborted,
          mayKeep: () => exchange.answeringModel === undefined,
          keep(said) {
            // In streams of some dialects the counts are estimates.
            const usage = exchange.usage ?? said.usage
            keep({ ...said, ...(usage ? { usage } : {}) })
          },
        })
        return answerChat(client, recording, flight ? { ...services, signal: flight.signal } : services)
      },
    }
    return this.#flow.through(job, services.signal ?? exchange.signal)
  }

  /** The same for embeddings. */
  embedding(client: ClientEmbedding, services: RelayServices): Promise<EmbeddingAnswer> {
    const { exchange } = this.#request
    const { bytes, scan } = client
    const job: CacheJob<EmbeddingAnswer> = {
      bypass: this.#unprocessed(),
      key: () => this.#options.keyOf({ ...client, services, parts: membersOf(bytes, scan) }),
      fits: ({ whole }) => whole !== undefined,
      give: ({ whole = '' }) => ({ body: withoutTimes(whole) }),
      async ask({ flight, keep }) {
        const answer = await answerEmbedding(
          client,
          flight ? { ...services, signal: flight.signal } : services,
        )
        const { body, headers } = answer
        // Vectors as bare bytes have headers of their own.
        const isJson = headers === undefined || headers['content-type'] === 'application/json'
        const { usage } = exchange
        if (isJson) keep?.({ whole: body.toString(), ...(usage ? { usage } : {}) })
        return answer
      },
    }
    return this.#flow.through(job, services.signal ?? exchange.signal)
  }

  /** What was to be masked and passed unmasked must not be given to anybody again. */
  #unprocessed(): string | undefined {
    const steps = this.#request.exchange.processed?.steps ?? []
    return steps.some(({ outcome }) => outcome === 'failed_open') ? 'processor' : undefined
  }
}
