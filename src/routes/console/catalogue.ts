import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { capabilitiesOf } from '../../fleet/model-cards.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { nameMatcher } from '../../sdk/client-key.ts'
import { type CatalogueModel, CatalogueSchema } from '../../sdk/console/catalogue.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'
import type { PriceRecord } from '../../sdk/teams/directory.ts'

/** All models with details from the configuration. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { admin: true, errors: 'problem', docs, ...consoleRole(app.config) } as const
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/catalogue'] }))
    app.get(path, { config, schema: { response: { 200: CatalogueSchema } } }, async (_request, reply) => {
      reply.header('cache-control', 'no-store')
      const models = app.models.all()
      await app.engines.awaitContexts(models)
      return { models: models.map((model) => shown(app, model)) }
    })
}

export default fp(plugin, { name: 'routes/console/catalogue', encapsulate: true })

function shown(app: FastifyInstance, model: Model): CatalogueModel {
  const { alias, group, standby, embedding, fallbacks, strategy } = model
  const all = allTargets(model)
  return {
    name: alias,
    group,
    aliases: [...app.models.aliasesOf(alias)],
    embedding,
    context: app.engines.contextOf(model),
    capabilities: [...capabilitiesOf(model)],
    operations: [...new Set(all.flatMap(({ paths }) => Object.keys(paths)))].sort(),
    strategy: strategy ?? app.config.balanceStrategy,
    fallbacks: [...fallbacks],
    targets: all.map((target) => shownTarget(target, standby.includes(target))),
    prices: pricesFor(app.directory?.snapshot().prices ?? [], model),
  }
}

function shownTarget(target: Target, isStandby: boolean): CatalogueModel['targets'][number] {
  const { id, type, upstreamModel, inputSize, maxInFlight, canary, profile } = target
  return {
    id,
    type: type.name,
    upstream_model: upstreamModel,
    context: inputSize,
    max_in_flight: maxInFlight ?? null,
    standby: isStandby,
    canary: canary === true,
    profile: profile ?? null,
  }
}

function pricesFor(
  prices: readonly { id: string; record: PriceRecord }[],
  model: Model,
): CatalogueModel['prices'] {
  const ids = new Set(allTargets(model).map(({ id }) => id))
  return prices
    .filter(({ record }) => {
      const isOfModel = !record.model || nameMatcher([record.model])(model.alias)
      return isOfModel && (!record.target || ids.has(record.target))
    })
    .map(({ id, record }) => ({
      id,
      target: record.target ?? null,
      currency: record.currency ?? null,
      prompt: record.prompt ?? null,
      cached_prompt: record.cached_prompt ?? null,
      completion: record.completion ?? null,
      gpu_second: record.gpu_second ?? null,
      request: record.request ?? null,
    }))
    .toSorted((a, b) => Number(b.target !== null) - Number(a.target !== null))
}

const docs: EndpointDocs = {
  id: 'catalogue',
  tag: 'Operation',
  summary: 'The models with aliases, contexts, capabilities, profiles and prices',
  answers: [json('The models.', CatalogueSchema)],
}
