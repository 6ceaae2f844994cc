import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { version } from '../../lib/version.ts'
import { commandEngine, type EngineAction } from '../../relay/upstream/engine-command.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { modelNotFound, RouterError } from '../../sdk/errors.ts'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'

const results = ['loaded', 'unloaded', 'unsupported', 'failed'] as const

const ResultSchema = Type.Object({
  model: Type.String(),
  targets: Type.Array(
    Type.Object({
      id: Type.String(),
      result: Type.Unsafe<(typeof results)[number]>(
        Type.Union(
          results.map((result) => Type.Literal(result)),
          { description: 'unsupported: the server decides which models it keeps in memory.' },
        ),
      ),
      status: Type.Optional(Type.Integer({ description: 'HTTP status of the server, if it failed.' })),
    }),
  ),
})

/** Tells the servers of a model to load it into memory, or to unload it. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const requestOptions = { timeoutMs: app.config.externalTimeoutMs, userAgent: `llm-router/${version}` }
  const command = async (model: Model, action: EngineAction) => {
    const all = action === 'load' ? model.targets : allTargets(model)
    return Promise.all(
      all.map(async (target) => {
        const transport = app.upstream.transportOf(target)
        const result = await commandEngine(target, action, { ...requestOptions, transport })
        const { id } = target
        if (result.type !== 'failed')
          return { id, result: result.type === 'done' ? (`${action}ed` as const) : result.type }
        const { status } = result
        return { id, result: result.type, ...(status === undefined ? {} : { status }) }
      }),
    )
  }
  // Model names may contain slashes, so the action is read from the end of the path.
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/models/*'] }))
    app.post<{ Params: { '*': string } }>(
      path,
      { config: { admin: true, docs }, schema: { response: { 200: ResultSchema } } },
      async (request) => {
        const { name, action } = actionOf(request.params['*'], app.config.endpointPrefix)
        const model = app.models.find(name)
        if (!model) throw modelNotFound(name.slice(0, 256))
        const targets = await command(model, action)
        const count = (wanted: string): number => targets.filter(({ result }) => result === wanted).length
        request.log.info({ model: name, client: request.client?.id, targets }, `model ${action} requested`)
        if (count('unsupported') === targets.length) throw notOffered(name)
        if (count('failed') > 0 && count(`${action}ed`) === 0) throw failed(name, action, model.targets)
        return { model: name, targets }
      },
    )
}

export default fp(plugin, { name: 'routes/operator/model-memory', encapsulate: true })

function actionOf(path: string, prefix: string): { name: string; action: EngineAction } {
  const [, name, action] = /^(.+)\/(load|unload)$/.exec(path) ?? []
  if (name === undefined || (action !== 'load' && action !== 'unload'))
    throw new RouterError('not_found', `Use ${prefix}/models/{name}/load or unload`, {
      code: 'unknown_url',
    })
  return { name, action }
}

function notOffered(name: string): RouterError {
  return new RouterError(
    'bad_request',
    `No server of the model '${name}' loads models on demand: Ollama, LM Studio and llama.cpp in router mode do`,
    { code: 'not_offered' },
  )
}

function failed(name: string, action: EngineAction, targets: readonly Target[]): RouterError {
  return new RouterError(
    'upstream_error',
    `None of the ${targets.length} servers of the model '${name}' could ${action} it`,
    { code: 'upstream_error' },
  )
}

const docs: EndpointDocs = {
  id: 'modelMemory',
  tag: 'Operation',
  summary: 'Load a model into the memory of its servers, or unload it',
  description:
    'The path is the name of the model followed by `/load` or `/unload`. The response is sent when the servers have finished.',
  answers: [json('The result of each server.', ResultSchema)],
  path: { '*': { name: 'model', description: 'Name of the model followed by `/load` or `/unload`.' } },
}
