import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import { estimateTokens } from '../../dialects/anthropic/token-estimate.ts'
import type { StoredItems } from '../../dialects/responses/request/input-read.ts'
import { ResponsesBody, ResponsesEnvelope } from '../../dialects/responses/request/schema.ts'
import { loadStoredItems } from '../../dialects/responses/request/stored-items.ts'
import { responseId } from '../../dialects/responses/response/object.ts'
import { ResponseSchema } from '../../dialects/responses/response/schemas.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { isUnsupportedOperation, targetsWith } from '../../relay/request/operation-targets.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'
import { asRouterError, badRequest, type RouterError } from '../../sdk/errors.ts'
import type { Model } from '../../sdk/target.ts'
import { findHolder, holderOf, type ResponseHolder, type Responses } from './response-holder.ts'
import { isStoredHere, ResponseStoring, withRequestState } from './response-state.ts'

const dialect = 'responses'

/** OpenAI's Responses API. Source: OpenAI API reference, "Responses". */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/responses', '/responses'],
    prefixed: ['/responses', '/v1/responses'],
  })
  const lookups = new WeakMap<FastifyRequest, Promise<RememberedItems>>()
  const rememberedFor = (request: FastifyRequest): Promise<RememberedItems> =>
    lookups.get(request) ?? loadRemembered(request.body, app.rights.responses(request))
  /** Starts looking up the previous response while limits are checked, because both may wait for Redis. */
  const preValidation = (request: FastifyRequest, _reply: unknown, done: HookHandlerDoneFunction): void => {
    const lookup = rememberedFor(request)
    lookup.catch(() => undefined) // handled where it is awaited
    lookups.set(request, lookup)
    done()
  }
  for (const path of paths) {
    const creating = {
      preValidation,
      schema: { body: ResponsesEnvelope },
      config: { dialect, docs, documentedBody: ResponsesBody },
    }
    app.post(path, creating, async (request, reply) => {
      const { body } = request
      const store = app.rights.responses(request)
      const client = app.gateway.clientRequest('responses', request)
      const answerId = randomBytes(12).toString('hex')
      const remembered = await rememberedFor(request)
      request.limitUse?.addPrompt(() =>
        JSON.stringify([remembered.history, ...remembered.referenced.values()]),
      )
      // A response that this router has not stored may exist at an upstream with its own Responses API.
      const isUnknown = lacksPrevious(body, remembered)
      const nativeTargets = targetsWith(client.model, 'responses').length
      if (isUnknown && nativeTargets === 0) throw previousNotFound(body)
      const remembers = isStoredHere(remembered)
      // The router only stores responses that it translates.
      const isStored = body.store !== false && (remembers || nativeTargets < client.model.targets.length)
      if (isStored) void store.announce?.(responseId(answerId))
      const storing = new ResponseStoring({
        request,
        body,
        store,
        isStored,
        remembered,
        dialect: client.dialect,
        askedModel: client.alias,
      })
      const only: Pick<ClientRequest, 'only'> = isUnknown ? { only: 'responses' } : {}
      const engine = engineWithPrevious(app, request, client.model, remembered.heldBy)
      try {
        return await app.gateway.chat(
          {
            ...client,
            ...only,
            answerId,
            dialect: withRequestState(client.dialect, {
              remembered,
              onAnswer: (response) => storing.onAnswer(response),
            }),
            remembers,
            beforeWrite: () => storing.beforeWrite(),
          },
          request,
          reply,
          engine,
        )
      } finally {
        storing.rememberHolder()
      }
    })

    const counting = {
      preValidation,
      schema: { body: ResponsesEnvelope },
      config: { dialect, docs: countDocs },
    }
    app.post(`${path}/input_tokens`, counting, async (request, reply) => {
      const { body } = request
      const client = app.gateway.clientRequest('responses', request)
      const remembered = await rememberedFor(request)
      const remembers = isStoredHere(remembered)
      if (!remembers && targetsWith(client.model, 'responses_count').length > 0) {
        try {
          return await app.operations.forward('responses_count', request, reply)
        } catch (error) {
          // Older versions of vLLM lack this endpoint, but can count in other ways.
          if (!isUnsupportedOperation(asRouterError(error))) throw error
        }
      }
      if (lacksPrevious(body, remembered)) throw previousNotFound(body)
      const counted = {
        ...client,
        dialect: withRequestState(client.dialect, { remembered, onAnswer() {} }),
        remembers,
      }
      const tokens = await app.operations.countPrompt(counted, request)
      if (tokens === undefined) reply.header('x-llm-router-estimate', 'true')
      const estimated = tokens ?? estimateTokens(asMessages(counted, app.dialects.get('anthropic')))
      return { object: 'response.input_tokens', input_tokens: estimated }
    })
  }
}

export default fp(plugin, { name: 'routes/openai/openai-responses', encapsulate: true })

const docs: EndpointDocs = {
  id: 'createResponse',
  tag: 'OpenAI',
  summary: 'Create a response (OpenAI)',
  description: 'Responses are stored for `previous_response_id`, unless `store` is false.',
  operations: ['responses', 'chat'],
  answers: [
    json('The response.', ResponseSchema),
    events('With `stream: true`: its events, up to `response.completed`, or an `error`.'),
  ],
  example: { model: 'demo', input: 'Hello' },
}

const countDocs: EndpointDocs = {
  id: 'countResponseTokens',
  tag: 'OpenAI',
  summary: 'Count the input tokens of a response',
  description:
    'Counted by the engine if it can; otherwise estimated, with the header `x-llm-router-estimate`.',
  operations: ['responses_count', 'count', 'tokenize'],
  otherwise: 'the router estimates',
  answers: [
    json('The count.', Type.Object({ object: Type.String(), input_tokens: Type.Integer({ minimum: 0 }) })),
  ],
  example: { model: 'demo', input: 'Hello' },
}

interface RememberedItems extends StoredItems {
  /** The server that stores the previous response; undefined if the router does, or if it is unknown. */
  heldBy: ResponseHolder | undefined
}

/** `body` need not be validated. */
async function loadRemembered(body: unknown, responses: Responses): Promise<RememberedItems> {
  const items = await loadStoredItems(body, responses)
  const previous = isObject(body) && items.history === undefined ? body.previous_response_id : undefined
  const heldBy = typeof previous === 'string' ? await findHolder(responses, previous) : undefined
  return { ...items, heldBy }
}

/** Translates the prompt to the form used to estimate tokens. Throws `bad_request` if the request is invalid. */
function asMessages({ dialect: { chat }, alias, readBody }: ClientRequest, written: Dialect): JsonObject {
  const body = readBody()
  chat.checkRequest?.(body)
  const request = { ...chat.readRequest(body, false), sampling: {} }
  return written.chat.writeRequest(request, { model: alias, flavour: {}, drop: () => undefined })
}

/**
 * Id of the target that stores the previous response in the memory of its engine, where no other target finds it. Hosted APIs
 * find the responses of an account from any target.
 */
function engineWithPrevious(
  app: FastifyInstance,
  request: FastifyRequest,
  model: Model,
  holder: ResponseHolder | undefined,
): string | undefined {
  const target = holder && holderOf(app, request, holder)
  return target?.type.engine !== undefined && model.targets.includes(target) ? target.id : undefined
}

/** Whether the response that the request continues is not stored here. */
function lacksPrevious(
  { previous_response_id: id }: Record<string, unknown>,
  { history }: StoredItems,
): boolean {
  return typeof id === 'string' && history === undefined
}

function previousNotFound({ previous_response_id: id }: Record<string, unknown>): RouterError {
  return badRequest(
    `Previous response with id '${String(id).slice(0, 128)}' not found`,
    'previous_response_id',
    'previous_response_not_found',
  )
}
