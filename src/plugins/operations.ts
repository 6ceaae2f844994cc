import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { badRequest, modelNotFound } from '../core/errors.ts'
import { lostHeader } from '../core/lost-header.ts'
import type { Model } from '../core/target.ts'
import { answerEmbedding } from '../relay/embed-run.ts'

declare module 'fastify' {
  interface FastifyInstance {
    operations: {
      /** Answers a validated request for embeddings, in the dialect of the client. */
      embed(dialect: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>
    }
  }
}

/** What clients ask models for beside chats: over the same targets, with the same failover, log and metrics. */
export default fp(
  (app, _options, done) => {
    app.decorate('operations', {
      embed: async (dialectName, request, reply) => {
        const { alias, model } = modelOf(app, dialectName, request)
        const { rawBody, body, exchange } = request
        if (!rawBody) throw badRequest('The request has no body')
        const answer = await answerEmbedding(
          {
            dialect: app.dialects.get(dialectName),
            alias,
            model,
            ...rawBody,
            body: body as Record<string, unknown>, // the route's schema has checked it
            others: app.models.all().flatMap((each) => (each.embedding ? [each.alias] : [])),
          },
          app.gateway.services(request),
        )
        return reply.headers(lostHeader(exchange.lost)).type('application/json').send(answer)
      },
    })
    done()
  },
  { name: 'operations', dependencies: ['registries', 'models', 'exchange', 'gateway'] },
)

/** Throws `bad_request` and `model_not_found`. `model_name` is the older name; where both stand, `model` is meant. */
function modelOf(
  app: FastifyInstance,
  dialect: string,
  { body, exchange }: FastifyRequest,
): { alias: string; model: Model } {
  const members = body as { model?: unknown; model_name?: unknown } // parsed bodies are objects
  const alias = members.model ?? members.model_name ?? undefined
  if (alias === undefined) {
    throw badRequest("'model' is required: the name of a model", 'model', 'missing_required_parameter')
  }
  if (typeof alias !== 'string' || alias === '') {
    throw badRequest("'model' must be a non-empty string", 'model', 'invalid_value')
  }
  exchange.dialect = dialect
  const model = dialect === 'ollama' ? app.models.findLoosely(alias) : app.models.find(alias)
  if (!model) throw modelNotFound(alias.slice(0, 256))
  exchange.model = model.alias
  return { alias, model }
}
