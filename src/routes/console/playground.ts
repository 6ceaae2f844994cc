import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { OpenaiChatBody, OpenaiChatEnvelope } from '../../dialects/openai/request/schema.ts'
import { ChatCompletionSchema } from '../../dialects/openai/response/schemas.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { applyEdits, scanObject, setMembers } from '../../lib/json/splice.ts'
import { type ClientKey, surfaces } from '../../sdk/client-key.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import { allTargets, type Model } from '../../sdk/target.ts'

const TargetMember = {
  target: Type.Optional(
    Type.String({
      description: 'Id of the only target to try; absent: targets are picked as for any client.',
    }),
  ),
}

/** Chat requests from the console: with access to all models, processed like other requests, logged as the client `console`. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/playground/chat'] }))
    app.post(
      path,
      {
        schema: { body: OpenaiChatEnvelope },
        config: {
          admin: true,
          dialect: 'openai',
          docs,
          documentedBody: Type.Object({ ...OpenaiChatBody.properties, ...TargetMember }),
        },
        // In preValidation, so that the client is replaced before limits and budgets are checked.
        preValidation: (request, _reply, next) => {
          const operator = request.client?.id
          request.client = consoleClient
          request.exchange.client = consoleClient.id
          request.exchange.key = undefined
          request.exchange.showsRoute = true
          request.log.info({ ...request.exchange.logIds, by: operator }, 'playground request')
          next()
        },
      },
      (request, reply) => {
        const target = takeTarget(request)
        const client = app.gateway.clientRequest('openai', request)
        if (target !== undefined) checkTarget(target, client.model)
        return app.gateway.chat(client, request, reply, target)
      },
    )
}

export default fp(plugin, { name: 'routes/console/playground', encapsulate: true })

/** The client for which requests of the console are logged and counted. Operators may use any model. */
const consoleClient: ClientKey = {
  id: 'console',
  enabled: true,
  expiresAt: undefined,
  surfaces: new Set(surfaces),
  models: undefined,
  mayUse: () => true,
  limits: undefined,
  maxTokens: undefined,
}

/** Removes and returns the member `target` of the body, which strict servers would reject. */
function takeTarget(request: FastifyRequest): string | undefined {
  const { rawBody } = request
  const { target, ...body } = request.body as Record<string, unknown> // validated by its schema
  if (target === undefined || target === null || !rawBody) return undefined
  if (typeof target !== 'string')
    throw badRequest("'target' must be the id of a target", 'target', 'invalid_value')
  const bytes = applyEdits(rawBody.bytes, setMembers(rawBody.scan, {}, new Set(['target'])))
  const scan = scanObject(bytes)
  if (!scan) throw badRequest('The body must be a JSON object')
  request.body = body
  request.rawBody = { bytes, scan, whole: () => body }
  return target
}

function checkTarget(id: string, model: Model): void {
  if (allTargets(model).some((target) => target.id === id)) return
  throw new RouterError('not_found', `The model '${model.alias}' has no target '${id.slice(0, 256)}'`, {
    code: 'target_not_found',
    param: 'target',
  })
}

const docs: EndpointDocs = {
  id: 'playgroundChat',
  tag: 'Operation',
  summary: 'Ask a model from the console',
  description:
    'An OpenAI chat request, subject to the same server limits and queues as those of clients; logged and counted as the client `console`. With `target`, no other target and no fallback model is tried.',
  operations: ['chat'],
  answers: [
    json('The completion.', ChatCompletionSchema),
    events('With `stream: true`: its chunks, then `[DONE]`; after an error no `[DONE]`.'),
  ],
  example: { model: 'demo', messages: [{ role: 'user', content: 'Hello' }] },
}
