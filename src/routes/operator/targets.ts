import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { modelNotFound, RouterError } from '../../sdk/errors.ts'
import { allTargets } from '../../sdk/target.ts'

const actions = ['drain', 'resume', 'reset'] as const
type Action = (typeof actions)[number]

const TargetSchema = Type.Object({
  target: Type.String(),
  action: Type.Unsafe<Action>(Type.Union(actions.map((action) => Type.Literal(action)))),
  models: Type.Array(Type.String(), { description: 'The models that it serves.' }),
})

const WeightsBody = Type.Record(
  Type.String(),
  Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()]),
  { minProperties: 1, description: 'Weights by target id; null: the configured weight.' },
)

const WeightsSchema = Type.Object({
  model: Type.String(),
  weights: Type.Record(Type.String(), Type.Number(), { description: 'Current weights of all its targets.' }),
})

const logMessages: Readonly<Record<Action, string>> = {
  drain: 'target drained',
  resume: 'target resumed',
  reset: 'target reset',
}

/** Drains and resumes targets, resets their failure state, and sets their weights. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  // Ids and names may contain slashes, so the action is read from the end of the path.
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/targets/*'] }))
    app.post<{ Params: { '*': string }; Querystring: { force?: string } }>(
      path,
      { config: { admin: true, docs: targetDocs }, schema: { response: { 200: TargetSchema } } },
      async (request) => {
        const { name: target, action } = actionOf(request.params['*'], prefix)
        const models = app.overrides.modelsWith(target).map(({ alias }) => alias)
        if (models.length === 0) throw targetNotFound(target, prefix)
        const by = request.client?.id ?? ''
        if (action === 'drain' && request.query.force !== 'true') {
          const [last] = app.overrides.servedOnlyBy(target)
          if (last) throw lastTarget(target, last.alias)
        }
        if (action === 'reset') await app.overrides.reset(target, by)
        else await app.overrides.drain(target, action === 'drain', by)
        request.log.info({ target, models, client: by }, logMessages[action])
        return { target, action, models }
      },
    )
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/models/*'] }))
    app.put<{ Params: { '*': string }; Body: Record<string, number | null> }>(
      path,
      {
        config: { admin: true, docs: weightsDocs },
        schema: { body: WeightsBody, response: { 200: WeightsSchema } },
      },
      async (request) => {
        const [, name] = /^(.+)\/weights$/.exec(request.params['*']) ?? []
        if (name === undefined) throw unknownPath(`${prefix}/models/{name}/weights`)
        const model = app.models.find(name)
        if (!model) throw modelNotFound(name.slice(0, 256))
        const { alias } = model
        if (!app.balancer.usesWeights(alias))
          throw noWeights(alias, model.strategy ?? app.config.balanceStrategy)
        const ids = new Set(allTargets(model).map(({ id }) => id))
        const unknown = Object.keys(request.body).find((id) => !ids.has(id))
        if (unknown !== undefined) throw targetNotFound(unknown, prefix)
        const by = request.client?.id ?? ''
        await app.overrides.setWeights(alias, request.body, by)
        request.log.info({ model: alias, weights: request.body, client: by }, 'weights set')
        const status = app.status.read().models.find((each) => each.name === alias)
        return {
          model: alias,
          weights: Object.fromEntries((status?.targets ?? []).map(({ id, weight }) => [id, weight])),
        }
      },
    )
}

export default fp(plugin, { name: 'routes/operator/targets', encapsulate: true })

function actionOf(path: string, prefix: string): { name: string; action: Action } {
  const [, name, word] = /^(.+)\/([a-z]+)$/.exec(path) ?? []
  const action = actions.find((each) => each === word)
  if (name === undefined || !action) throw unknownPath(`${prefix}/targets/{id}/drain, resume or reset`)
  return { name, action }
}

function unknownPath(known: string): RouterError {
  return new RouterError('not_found', `Use ${known}`, { code: 'unknown_url' })
}

function targetNotFound(id: string, prefix: string): RouterError {
  return new RouterError(
    'not_found',
    `Unknown target '${id.slice(0, 256)}'; GET ${prefix}/status lists the targets of each model`,
    { code: 'target_not_found' },
  )
}

function lastTarget(id: string, model: string): RouterError {
  const message = `'${id}' is the last usable target of the model '${model}'; add ?force=true to drain it anyway`
  return new RouterError('conflict', message, { code: 'last_target' })
}

function noWeights(model: string, strategy: string): RouterError {
  const message = `The strategy '${strategy}' of the model '${model}' does not use weights`
  return new RouterError('conflict', message, { code: 'weights_not_used' })
}

const targetDocs: EndpointDocs = {
  id: 'targetAction',
  tag: 'Operation',
  summary: 'Drain, resume or reset a target',
  description:
    'The path is the id of the target followed by `/drain`, `/resume` or `/reset`. A drained target finishes its requests and receives no new ones; a reset clears its failure state. Draining the last usable target of a model requires `?force=true`.',
  answers: [json('The action and the models concerned.', TargetSchema)],
  path: {
    '*': { name: 'target', description: 'Id of the target followed by `/drain`, `/resume` or `/reset`.' },
  },
  query: { force: Type.Optional(Type.String({ description: '`true`: drain even the last usable target.' })) },
}

const weightsDocs: EndpointDocs = {
  id: 'setWeights',
  tag: 'Operation',
  summary: 'Set the weights of the targets of a model',
  description:
    'The path is the name of the model followed by `/weights`. The weights apply until they are set again or the router exits; with Redis, in all routers and across restarts.',
  answers: [json('The weights of all its targets.', WeightsSchema)],
  path: { '*': { name: 'model', description: 'Name of the model followed by `/weights`.' } },
  example: { 'gpu-a': 0.25, 'gpu-b': null },
}
