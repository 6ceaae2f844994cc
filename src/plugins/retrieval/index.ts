import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ConfiguredProcessor } from '../../config/processors/read.ts'
import { isPrivateHost } from '../../lib/host-addresses.ts'
import { isObject } from '../../lib/json/read.ts'
import { scanObject } from '../../lib/json/splice.ts'
import { type UserTurn, userTurnOfBody, userTurnOfChat } from '../../processors/contents/user-turn.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { AnswerSource } from '../../sdk/question.ts'
import type { Model } from '../../sdk/target.ts'
import { compileRetrievals, type Retrieval } from './compiled.ts'
import { IndexSearcher } from './index-searcher.ts'
import { type Passage, quoted, sourcesOf } from './passages.ts'
import { passagesOf } from './run.ts'

declare module 'fastify' {
  interface FastifyInstance {
    retrieval: {
      /** Compiles the retrievals of a configuration. Throws ConfigError. */
      compile(configured: readonly ConfiguredProcessor[], models: ReadonlySet<string>): readonly Retrieval[]
      /** Applies these to new requests. */
      use(retrievals: readonly Retrieval[]): void
      /** Whether any retrieval is configured. */
      readonly isUsed: boolean
      /** The chat with the passages found for it, at the end of the last user turn. Throws if a retrieval fails closed. */
      augmentClientRequest(client: ClientRequest, request: FastifyRequest): Promise<ClientRequest>
      /** As `augmentClientRequest`, for a chat in the canonical form. */
      augmentChat(chat: ChatRequest, model: Model, request: FastifyRequest): Promise<ChatRequest>
      /** Names of the retrievals that would apply. */
      namesFor: (...asked: Parameters<Retrieval['appliesTo']>) => string[]
    }
  }
  interface FastifyContextConfig {
    /** false: the prompts of this route are not user questions, so no passages are added. */
    retrieves?: boolean
  }
  interface FastifyRequest {
    /** Sources of the passages that were added; undefined if none were. */
    sources: readonly AnswerSource[] | undefined
  }
}

/** Retrieval: adds passages from documents to chats, before all other processors. */
export default fp(
  (app, _options, done) => {
    const searcher = new IndexSearcher((path, why) =>
      app.log.warn({ path }, `updated index rejected: ${why}; the previous one stays in use`),
    )
    let current: readonly Retrieval[] = []
    const applying = (models: readonly string[], request: FastifyRequest): Retrieval[] =>
      request.routeOptions.config.retrieves === false
        ? []
        : current.filter((retrieval) => retrieval.appliesTo(models, request.client))
    app.addHook('onClose', () => searcher.close())
    app.decorateRequest('sources', undefined)
    app.decorate('retrieval', {
      get isUsed() {
        return current.length > 0
      },
      compile: (configured, models) => compileRetrievals(configured, { config: app.config, models }),
      use(retrievals) {
        current = retrievals
      },
      namesFor: (models, client) =>
        current.filter((retrieval) => retrieval.appliesTo(models, client)).map(({ name }) => name),
      async augmentClientRequest(client, request) {
        const retrievals = applying([client.model.alias], request)
        if (retrievals.length === 0) return client
        const { source, dialect } = client
        if (source.from === 'router') {
          const { model } = client
          return {
            ...client,
            source: { ...source, request: await app.retrieval.augmentChat(source.request, model, request) },
          }
        }
        const form = dialect.contents?.userTurn
        // Passages appended to a text completion would be completed.
        if ((!form && dialect.native?.operation === 'completion') || isRaw(client.outline)) return client
        if (form) {
          const turn = userTurnOfBody(source.bytes, form)
          const bytes =
            turn && (await withPassages(app, searcher, { turn, retrievals, model: client.model, request }))
          return bytes ? clientOfBody(client, bytes) : client
        }
        dialect.chat.checkRequest?.(client.outline)
        const read = dialect.chat.readRequest(client.readBody(), client.stream)
        const chat = await app.retrieval.augmentChat(read, client.model, request)
        return chat === read ? client : { ...client, source: { from: 'router', request: chat } }
      },
      async augmentChat(chat, model, request) {
        const retrievals = chat.completion ? [] : applying([model.alias], request)
        const turn = retrievals.length > 0 ? userTurnOfChat(chat) : undefined
        return (turn && (await withPassages(app, searcher, { turn, retrievals, model, request }))) ?? chat
      },
    })
    done()
  },
  { name: 'retrieval', dependencies: ['config', 'exchange'] },
)

/** The request with a different body. */
function clientOfBody(client: ClientRequest, bytes: Buffer): ClientRequest {
  const scan = scanObject(bytes)
  const body: unknown = JSON.parse(bytes.toString())
  if (!scan || !isObject(body)) throw badRequest('The body must be a JSON object')
  return { ...client, source: { from: 'client', bytes, scan }, outline: body, readBody: () => body }
}

/** Text completions of Ollama. */
function isRaw({ raw, suffix }: Readonly<Record<string, unknown>>): boolean {
  return raw === true || (typeof suffix === 'string' && suffix !== '')
}

interface PassageSearch<Chat> {
  turn: UserTurn<Chat>
  retrievals: readonly Retrieval[]
  model: Model
  request: FastifyRequest
}

async function withPassages<Chat>(
  app: FastifyInstance,
  searcher: IndexSearcher,
  { turn, retrievals, model, request }: PassageSearch<Chat>,
): Promise<Chat | undefined> {
  const context = { app, searcher, request, maskFor: maskerFor(app, request, model) }
  const found: Passage[] = []
  // Retrievals search in parallel; their passages keep the configured order.
  for (const passages of await Promise.all(
    retrievals.map((retrieval) => passagesOf(retrieval, turn.text, context)),
  ))
    found.push(...passages)
  const { length } = found
  if (length === 0) return undefined
  request.sources = sourcesOf(found)
  const text = quoted(found)
  request.limitUse?.addPrompt(() => text)
  return turn.with(text)
}

/** A text as a model or service may see it: masked, except for services in the local network. */
function maskerFor(
  app: FastifyInstance,
  request: FastifyRequest,
  model: Model,
): (text: string, service?: string) => Promise<string> {
  return async (text, service) => {
    const isOwn = service !== undefined && isPrivateHost(new URL(service).hostname)
    return isOwn ? text : app.processors.maskForExternal(request, [model], text)
  }
}
