import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { inputItemList } from '../../dialects/responses/response/input-item-list.ts'
import { readUsage } from '../../dialects/responses/response/read.ts'
import {
  DeletedResponseSchema,
  InputItemListSchema,
  ResponseSchema,
} from '../../dialects/responses/response/schemas.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { renameModel } from '../../relay/answer/whole-answer.ts'
import { requestHeldResponse, responseNotFound } from '../../relay/run/held-response.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { badRequest } from '../../sdk/errors.ts'
import {
  countHeldUsage,
  findHolder,
  holderOf,
  type ResponseHolder,
  removeHolder,
  type StoredResponse,
} from './response-holder.ts'

const dialect = 'responses'

/** Endpoints for a stored response of OpenAI's Responses API. Source: OpenAI API reference, "Responses". */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/responses', '/responses'],
    prefixed: ['/responses', '/v1/responses'],
  })
  for (const path of paths) {
    const findStored = async (request: ById): Promise<StoredResponse> => {
      const { id } = request.params
      const responses = app.rights.responses(request)
      const stored = await responses.find(id)
      if (stored && !stored.heldBy) return stored
      const heldBy = await findHolder(responses, id)
      if (!heldBy) throw responseNotFound(id)
      return { response: {}, input: [], heldBy }
    }

    app.get<{ Params: { id: string }; Querystring: { stream?: string } }>(
      `${path}/:id`,
      { config: { dialect, docs: findDocs } },
      async (request, reply) => {
        if (request.query.stream === 'true') {
          throw badRequest('A stored response cannot be streamed', 'stream', 'unsupported_parameter')
        }
        const { response, heldBy } = await findStored(request)
        return heldBy ? forwardToHolder(app, heldBy, { request, reply }) : response
      },
    )

    const removing = { config: { dialect, docs: removeDocs } }
    app.delete<{ Params: { id: string } }>(`${path}/:id`, removing, async (request, reply) => {
      const { id } = request.params
      const { heldBy } = await findStored(request)
      if (heldBy) return forwardToHolder(app, heldBy, { request, reply })
      if (!(await app.rights.responses(request).remove(id))) throw responseNotFound(id)
      return { id, object: 'response', deleted: true }
    })

    const cancelling = { config: { dialect, docs: cancelDocs } }
    app.post<{ Params: { id: string } }>(`${path}/:id/cancel`, cancelling, async (request, reply) => {
      const { heldBy } = await findStored(request)
      if (heldBy) return forwardToHolder(app, heldBy, { request, reply }, '/cancel')
      throw badRequest('Only a response created with background: true can be cancelled')
    })

    const listing = {
      schema: { params: IdParams, querystring: ListQuery },
      config: { dialect, docs: listDocs },
    }
    app.get(`${path}/:id/input_items`, listing, async (request, reply) => {
      const { input, heldBy } = await findStored(request)
      if (heldBy) return forwardToHolder(app, heldBy, { request, reply }, '/input_items')
      return inputItemList(request.params.id, input, request.query)
    })
  }
}

export default fp(plugin, { name: 'routes/openai/stored-responses', encapsulate: true })

const id = { id: { name: 'response_id', description: 'The `id` of a response.' } }

const findDocs: EndpointDocs = {
  id: 'retrieveResponse',
  tag: 'OpenAI',
  summary: 'Get a stored response',
  answers: [json('The response.', ResponseSchema)],
  path: id,
}

const cancelDocs: EndpointDocs = {
  id: 'cancelResponse',
  tag: 'OpenAI',
  summary: 'Cancel a background response',
  description:
    'Forwarded to the server that created the response; the router itself creates no background responses.',
  answers: [json('The response.', ResponseSchema)],
  path: id,
}

const listDocs: EndpointDocs = {
  id: 'listInputItems',
  tag: 'OpenAI',
  summary: 'List the input items of a stored response',
  answers: [json('The list.', InputItemListSchema)],
  path: id,
}

const IdParams = Type.Object({ id: Type.String() })

const ListQuery = Type.Object({
  after: Type.Optional(Type.String({ description: 'The page after the item with this id.' })),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100, description: 'Items per page; default 20.' }),
  ),
  order: Type.Optional(
    Type.Unsafe<'asc' | 'desc'>({
      type: 'string',
      enum: ['asc', 'desc'],
      description: 'Default `desc`: newest first.',
    }),
  ),
})

const removeDocs: EndpointDocs = {
  id: 'deleteResponse',
  tag: 'OpenAI',
  summary: 'Delete a stored response',
  answers: [json('The confirmation.', DeletedResponseSchema)],
  path: id,
}

type ById = FastifyRequest<{ Params: { id: string } }>

/** Forwards a request about a response to the server that stores it. */
export async function forwardToHolder(
  app: FastifyInstance,
  holder: ResponseHolder,
  { request, reply }: { request: ById; reply: FastifyReply },
  action = '',
): Promise<FastifyReply> {
  const { id } = request.params
  const target = holderOf(app, request, holder)
  if (!target) throw responseNotFound(id)
  const method = methodOf(request)
  const suffix = action + queryOf(request)
  const services = app.gateway.services(request)
  const { text, parsed } = await requestHeldResponse(id, { method, suffix }, target, services)
  const responses = app.rights.responses(request)
  if (method === 'DELETE') await removeHolder(responses, id)
  else if (action !== '/input_items') await countHeldUsage(responses, request, id, holder, readUsage(parsed))
  const bytes = renameModel(Buffer.from(text), holder.askedModel, { parsed })
  return reply.type('application/json').send(bytes)
}

function methodOf({ method }: FastifyRequest): 'GET' | 'POST' | 'DELETE' {
  return method === 'POST' || method === 'DELETE' ? method : 'GET'
}

const forwardedParameters: ReadonlySet<string> = new Set(['include', 'include[]', 'after', 'limit', 'order'])

function queryOf({ raw }: FastifyRequest): string {
  const { searchParams } = new URL(raw.url ?? '/', 'http://localhost')
  const forwarded = [...searchParams].filter(([name]) => forwardedParameters.has(name))
  return forwarded.length === 0 ? '' : `?${new URLSearchParams(forwarded)}`
}
