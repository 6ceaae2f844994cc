import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { badRequest, RouterError } from '../core/errors.ts'
import type { ResponseStore, StoredResponse } from '../core/response-store.ts'
import { responseIdOfItem } from '../dialects/responses/ids.ts'
import { inputItems, type Remembered, referenceOf } from '../dialects/responses/input-items.ts'
import { isObject, objectsIn } from '../dialects/responses/json.ts'
import { forOneCall } from '../dialects/responses/one-call.ts'
import { ResponsesBody } from '../dialects/responses/schema.ts'

const config = { dialect: 'responses' }

/** OpenAI's Responses API. Source: OpenAI API reference, "Responses". */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const store = app.responses
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/responses', '/responses'],
    prefixed: ['/responses', '/v1/responses'],
  })
  for (const path of paths) {
    app.post(path, { schema: { body: ResponsesBody }, config }, async (request, reply) => {
      const { body, log } = request
      const call = app.gateway.chatCall('responses', request)
      const remembered = await recall(body, store)
      let kept: Promise<void> | undefined
      const dialect = forOneCall(call.dialect, {
        remembered,
        onAnswer(response) {
          if (body.store === false) return
          const input = inputItems(body.input, remembered).map(({ item }) => item)
          kept = store.keep(String(response.id), { response, input }).catch((error: unknown) => {
            const name = error instanceof Error ? error.name : typeof error
            log.warn({ request_id: request.id, error_name: name }, 'answer could not be stored')
          })
        },
      })
      return app.gateway.chat({ ...call, dialect, beforeEnd: () => kept }, request, reply)
    })

    app.get<{ Params: { id: string }; Querystring: { stream?: string } }>(
      `${path}/:id`,
      { config },
      async (request) => {
        if (request.query.stream === 'true') {
          throw badRequest('A stored answer cannot be streamed again', 'stream', 'unsupported_parameter')
        }
        const stored = await store.find(request.params.id)
        if (!stored) throw notFound(request.params.id)
        return stored.response
      },
    )

    app.delete<{ Params: { id: string } }>(`${path}/:id`, { config }, async (request) => {
      const { id } = request.params
      if (!(await store.remove(id))) throw notFound(id)
      return { id, object: 'response', deleted: true }
    })
  }
}

export default plugin

/** What a request goes on from. Throws `bad_request` when the answer before it is not known, or not any more. */
async function recall(body: Record<string, unknown>, store: ResponseStore): Promise<Remembered> {
  const referenced = await recallItems(body.input, store)
  const previous = body.previous_response_id
  if (typeof previous !== 'string') return { history: undefined, referenced }
  const stored = await store.find(previous)
  if (!stored) {
    throw badRequest(
      `Previous response with id '${previous.slice(0, 128)}' not found`,
      'previous_response_id',
      'previous_response_not_found',
    )
  }
  return { history: [...stored.input, ...outputOf(stored)], referenced }
}

/** Some clients send the items of earlier answers by their ids alone; an id tells the answer it belongs to. */
async function recallItems(input: unknown, store: ResponseStore): Promise<Remembered['referenced']> {
  const found: Remembered['referenced'] & Map<string, Record<string, unknown>> = new Map()
  const wanted = objectsIn(input).map(referenceOf)
  const answers = new Set(wanted.map((id) => id && responseIdOfItem(id)).filter((id) => id !== undefined))
  for (const answer of answers) {
    const stored = answer === '' ? undefined : await store.find(answer)
    for (const item of stored ? outputOf(stored) : [])
      if (typeof item.id === 'string') found.set(item.id, item)
  }
  return found
}

function outputOf({ response }: StoredResponse): Record<string, unknown>[] {
  return Array.isArray(response.output) ? response.output.filter(isObject) : []
}

function notFound(id: string): RouterError {
  return new RouterError('not_found', `Response with id '${id.slice(0, 128)}' not found`)
}
