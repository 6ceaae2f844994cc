import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type JsonScan, scanObject } from '../../lib/json/splice.ts'
import { answerHeaders } from '../../relay/answer/answer-headers.ts'
import { type ClientPipe, createClientPipe } from '../../relay/answer/client-stream.ts'
import { aliasOf, type ClientRequest } from '../../relay/request/client-request.ts'
import { countPrompt } from '../../relay/run/count.ts'
import { answerEmbedding, maxConcurrentParts } from '../../relay/run/embedding.ts'
import {
  answerForward,
  type ForwardedRequest,
  pipeForward,
  pipeUpload,
  receiveUpload,
} from '../../relay/run/forward.ts'
import type { AnswerContents, StreamContents } from '../../sdk/content.ts'
import { asRouterError, badRequest, modelNotFound, RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Model } from '../../sdk/target.ts'
import type { UpstreamCost } from '../auth/request-cost.ts'
import { headersOf } from '../gateway/reply-client.ts'
import { processedPipe } from '../processors/processed-client.ts'
import type { Processing } from '../processors/processing.ts'

type Answer = (operation: Operation, request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

declare module 'fastify' {
  interface FastifyInstance {
    operations: {
      /** Handles a validated embeddings request in the client's dialect. `named`: the model, if the path names it. */
      embed(
        dialect: string,
        request: FastifyRequest,
        reply: FastifyReply,
        named?: string,
      ): Promise<FastifyReply>
      /** Upstream cost of an embeddings request: a large one is sent in several parts. */
      embeddingCost(request: FastifyRequest): UpstreamCost | undefined
      /** Forwards a JSON request. Replaces the model's name in its small JSON response. */
      forward: Answer
      /** Forwards a JSON request and streams its response unchanged, whatever the content type. */
      pipe: Answer
      /** Forwards a form with a file; the request body must be the raw stream. */
      upload: Answer
      /** Prompt tokens of a chat as counted by an upstream; undefined if no upstream could. */
      countPrompt(client: ClientRequest, request: FastifyRequest): Promise<number | undefined>
    }
  }
}

/** Operations other than chat, with the same targets, failover, log and metrics. */
export default fp(
  (app, _options, done) => {
    app.decorate('operations', {
      embed: (dialect, request, reply, named) => embed(app, { dialect, named }, request, reply),
      embeddingCost: (request) => embeddingCost(app, request),
      forward: async (operation, request, reply) => {
        const { forward, processing } = await processed(app, operation, request)
        const { body, headers } = await answerForward(forward, app.gateway.services(request))
        const isJson = headers['content-type'] === 'application/json'
        const answered =
          processing && isJson ? await processing.processResponseBody(body, answersOf(operation)) : body
        return reply.headers(headers).send(answered)
      },
      pipe: async (operation, request, reply) => {
        const { forward, processing } = await processed(app, operation, request)
        const pipe = clientPipe(reply)
        const form = { contents: llamaCppDeltas, answers: answersOf(operation) }
        const end = processing?.readsResponses ? processedPipe(pipe, processing, form) : undefined
        const answering = async (): Promise<void> => {
          await pipeForward(forward, end?.client ?? pipe, app.gateway.services(request))
          await end?.settled()
        }
        await throwUnlessSent(reply, answering())
        return reply
      },
      upload: (operation, request, reply) => upload(app, operation, request, reply),
      countPrompt: (client, request) => countOrLog(app, client, request),
    })
    done()
  },
  {
    name: 'operations',
    dependencies: [
      'config',
      'registries',
      'auth',
      'models',
      'exchange',
      'gateway',
      'processors',
      'answer-cache',
    ],
  },
)

/** The router splits the request, so all parts count as one request; concurrent parts take one slot each. */
function embeddingCost(app: FastifyInstance, request: FastifyRequest): UpstreamCost | undefined {
  const body = membersOf(request)
  const name = body.model ?? body.model_name
  const model = typeof name === 'string' ? app.rights.models(request).findLoosely(name) : undefined
  if (!model) return undefined
  const promptBytes = request.exchange.receivedBytes
  return { requests: 1, atOnce: maxConcurrentParts(model, body), promptBytes, maxTokens: undefined }
}

async function embed(
  app: FastifyInstance,
  { dialect, named }: { dialect: string; named: string | undefined },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { rawBody, exchange } = request
  const body = membersOf(request)
  const { alias, model } = modelOf(app, dialect, request, named === undefined ? body : { model: named })
  if (!rawBody) throw badRequest('The request has no body')
  const processing = app.processors.begin(request, model)
  const processed = processing && (await processedEmbedding(app, dialect, rawBody.bytes, processing))
  const others = app.rights
    .models(request)
    .listed()
    .flatMap((each) => (each.embedding ? [each.alias] : []))
  const atOnce = request.limitUse?.slots
  const read = { dialect: app.dialects.get(dialect), alias, model, others, atOnce }
  const client = { ...read, ...rawBody, body, ...processed }
  const services = app.gateway.services(request)
  const cache = app.answerCache.begin(request, reply, model)
  const answer = await (cache ? cache.embedding(client, services) : answerEmbedding(client, services))
  const { headers = { 'content-type': 'application/json' } } = answer
  return reply.headers({ ...answerHeaders(exchange), ...headers }).send(answer.body)
}

async function countOrLog(
  app: FastifyInstance,
  client: ClientRequest,
  request: FastifyRequest,
): Promise<number | undefined> {
  try {
    const processing = app.processors.begin(request, client.model)
    const counted = processing ? await processing.processCountRequest(client) : client
    return await countPrompt(counted, app.gateway.services(request))
  } catch (thrown) {
    const { kind, causeCode, message, code } = asRouterError(thrown)
    if (code === 'not_protected') throw thrown
    // An invalid request is reported when it is sent; counting its tokens must not fail.
    const cause = causeCode ?? (kind === 'internal' ? message : kind)
    request.log.info(
      { ...request.exchange.logIds, error_cause: cause },
      'prompt tokens estimated, not counted',
    )
    return undefined
  }
}

function forwarded(app: FastifyInstance, operation: Operation, request: FastifyRequest): ForwardedRequest {
  const body = membersOf(request)
  const named = modelOf(app, 'openai', request, body)
  if (!request.rawBody) throw badRequest('The request has no body')
  return { operation, ...named, ...request.rawBody }
}

interface ProcessedForward {
  forward: ForwardedRequest
  processing: Processing | undefined
}

/** The request with processed contents. The tables of operations are those of OpenAI's dialect and its Responses API. */
async function processed(
  app: FastifyInstance,
  operation: Operation,
  request: FastifyRequest,
): Promise<ProcessedForward> {
  const forward = forwarded(app, operation, request)
  const processing = app.processors.begin(request, forward.model)
  if (!processing) return { forward, processing }
  const tables = ['openai', 'responses'].map((name) => app.dialects.get(name).contents?.requests[operation])
  const bytes = await processing.processBody(forward.bytes, tables.find(Boolean), operation)
  return { forward: { ...forward, bytes, scan: scanned(bytes) }, processing }
}

async function processedEmbedding(
  app: FastifyInstance,
  dialect: string,
  received: Buffer,
  processing: Processing,
): Promise<{ bytes: Buffer; scan: JsonScan; body: Record<string, unknown> }> {
  const shape = app.dialects.get(dialect).contents?.requests.embedding
  const bytes = await processing.processBody(received, shape, 'embedding')
  return { bytes, scan: scanned(bytes), body: JSON.parse(bytes.toString()) }
}

function scanned(bytes: Buffer): JsonScan {
  const scan = scanObject(bytes)
  if (!scan) throw badRequest('The body must be a JSON object')
  return scan
}

/** Text deltas in the form of llama.cpp's own streams. */
const llamaCppDeltas: StreamContents = {
  read: ({ content, stop }) => ({
    texts: typeof content === 'string' ? [{ channel: 'content', path: ['content'] }] : [],
    ends: stop === true ? [''] : [],
  }),
  continued: (like, _at, text) => ({ ...like, content: text }),
  createEnding: () => ({ sent() {}, filtered: () => [{ content: '', stop: true }] }),
}

/** Generated contents of a response. Responses of other operations contain numbers or texts of the request. */
function answersOf(operation: Operation): AnswerContents {
  return operation === 'infill' ? infillAnswers : noAnswers
}

const infillAnswers: AnswerContents = {
  shape: { members: { content: 'text' }, rest: 'opaque' },
  filtered: (answer) => ({ ...answer, content: '', stop: true }),
}
const noAnswers: AnswerContents = { shape: 'opaque', filtered: (answer) => ({ ...answer }) }

async function upload(
  app: FastifyInstance,
  operation: Operation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { body } = request
  if (!(body instanceof Readable)) {
    throw new RouterError('unsupported_media_type', 'The body must be multipart/form-data')
  }
  const receiving = receiveUpload(body, {
    contentType: request.headers['content-type'] ?? '',
    maxBytes: app.config.bodyLimitBytes,
  })
  // The client determines the upload's speed, so the time is not the router's own.
  const received = await request.exchange.steps.awaitExternal(receiving)
  request.exchange.receivedBytes = received.spool.bytes
  try {
    const { model } = modelOf(app, 'openai', request, { model: received.model })
    await app.budgets.admitModel(request, model.alias)
    app.processors.begin(request, model)?.skipUninspected(`Files for '${operation}'`)
    const upload = { upload: received, model, operation }
    await throwUnlessSent(reply, pipeUpload(upload, clientPipe(reply), app.gateway.services(request)))
    return reply
  } finally {
    await received.spool.close()
  }
}

function membersOf({ body }: FastifyRequest): Record<string, unknown> {
  return body as Record<string, unknown> // validated by the route's schema
}

/**
 * Resolves the model that a body names; `model` takes precedence over the legacy `model_name`. Throws `bad_request` and
 * `model_not_found`.
 */
function modelOf(
  app: FastifyInstance,
  dialect: string,
  request: FastifyRequest,
  body: Record<string, unknown>,
): { alias: string; model: Model } {
  const alias = aliasOf(body)
  const { exchange } = request
  const models = app.rights.models(request)
  exchange.dialect = dialect
  const model = dialect === 'ollama' ? models.findLoosely(alias) : models.find(alias)
  if (!model) throw modelNotFound(alias.slice(0, 256))
  exchange.requestedName = alias
  exchange.model = model.alias
  return { alias, model }
}

function clientPipe(reply: FastifyReply): ClientPipe {
  const { exchange } = reply.request
  return createClientPipe(reply.raw, {
    headers: () => headersOf(reply),
    // Fastify must not touch the response after this.
    onCommit: () => reply.hijack(),
    onWrite: (bytes) => {
      exchange.bodyBytes += bytes
    },
  })
}

/** Once the response has begun, the only way to report an error is to destroy the connection. */
async function throwUnlessSent(reply: FastifyReply, answer: Promise<void>): Promise<void> {
  try {
    await answer
  } catch (thrown) {
    const { exchange } = reply.request
    exchange.error ??= asRouterError(thrown)
    if (!reply.sent) throw thrown
    reply.raw.destroy()
  }
}
