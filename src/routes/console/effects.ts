import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EffectAction, EffectSchema, effectActions } from '../../sdk/console/effects.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { badRequest, modelNotFound, RouterError } from '../../sdk/errors.ts'

const QuerySchema = Type.Object({
  action: Type.Unsafe<EffectAction>({
    type: 'string',
    enum: effectActions,
    description: 'drain, resume and reset take `target`; load and unload take `model`.',
  }),
  target: Type.Optional(Type.String({ description: 'Id of a target.' })),
  model: Type.Optional(Type.String({ description: 'Name of a model.' })),
})

/** Predicts the effect of an action, to show before it is confirmed. Read-only. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { admin: true, errors: 'problem', docs, ...consoleRole(app.config) } as const
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/effects'] }))
    app.get(
      path,
      { config, schema: { querystring: QuerySchema, response: { 200: EffectSchema } } },
      async (request, reply) => {
        reply.header('cache-control', 'no-store')
        const { action, target, model } = request.query
        if (action === 'load' || action === 'unload') {
          if (model === undefined) throw required('model')
          const effect = await app.effects.ofModel(action, model)
          if (!effect) throw modelNotFound(model.slice(0, 256))
          return effect
        }
        if (target === undefined) throw required('target')
        const effect = await app.effects.ofTarget(action, target)
        if (!effect)
          throw new RouterError('not_found', `Unknown target '${target.slice(0, 256)}'`, {
            code: 'target_not_found',
          })
        return effect
      },
    )
}

export default fp(plugin, { name: 'routes/console/effects', encapsulate: true })

function required(name: string): RouterError {
  return badRequest(`'${name}' is required for this action`, name, 'missing_required_parameter')
}

const docs: EndpointDocs = {
  id: 'effects',
  tag: 'Operation',
  summary: 'What draining, resuming, resetting, loading or unloading would do',
  description:
    'Read-only, to show before an action is confirmed: requests in flight, and models without another usable target.',
  answers: [json('The predicted effect.', EffectSchema)],
  query: QuerySchema.properties,
}
