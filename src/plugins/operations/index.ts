import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type ClientPipe, createClientPipe } from '../../relay/answer/client-stream.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { countPrompt } from '../../relay/run/count.ts'
import {
  answerForward,
  type ForwardedRequest,
  pipeForward,
  pipeUpload,
  receiveUpload,
} from '../../relay/run/forward.ts'
import type { AnswerContents, StreamContents } from '../../sdk/content.ts'
import { asRouterError, badRequest, RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { UpstreamCost } from '../auth/request-cost.ts'
import { headersOf } from '../gateway/reply-client.ts'
import { processedPipe } from '../processors/processed-client.ts'
import type { Processing } from '../processors/processing.ts'
import { embed, embeddingCost } from './embed.ts'
import { type LoadOptions, load } from './load.ts'
import { membersOf, resolveModel, scanOf } from './request-parts.ts'

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
      /**
       * Loads or unloads a model for a request of an Ollama client without a prompt, which sets how long it stays loaded.
       * `keepAlive`: a time of zero unloads it.
       */
      load(
        client: ClientRequest,
        options: LoadOptions,
        request: FastifyRequest,
        reply: FastifyReply,
      ): Promise<FastifyReply>
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
      load: (client, options, request, reply) => load(app, client, options, { request, reply }),
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
  const named = resolveModel(app, 'openai', request, body)
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
  return { forward: { ...forward, bytes, scan: scanOf(bytes) }, processing }
}

/** Text deltas in the form of llama.cpp's own streams. */
const llamaCppDeltas: StreamContents = {
  read: ({ content, stop }) => ({
    texts: typeof content === 'string' ? [{ channel: 'content', path: ['content'] }] : [],
    ends: stop === true ? [''] : [],
  }),
  continueText: (like, _at, text) => ({ ...like, content: text }),
  createEnding: () => ({ observe() {}, endFiltered: () => [{ content: '', stop: true }] }),
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
    const { model } = resolveModel(app, 'openai', request, { model: received.model })
    await app.budgets.admitModel(request, model.alias)
    app.processors.begin(request, model)?.skipUninspected(`Files for '${operation}'`)
    const upload = { upload: received, model, operation }
    await throwUnlessSent(reply, pipeUpload(upload, clientPipe(reply), app.gateway.services(request)))
    return reply
  } finally {
    await received.spool.close()
  }
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
