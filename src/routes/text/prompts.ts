import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'

/** Lists the prompts in the library, and the text endpoints with their schemas. */
const plugin: FastifyPluginAsync = async (app) => {
  const prefix = app.config.endpointPrefix
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/prompts'] })) {
    app.get(path, { config: { dialect: 'openai', surface: 'text', docs: promptsDocs } }, () => ({
      prompts: app.prompts
        .list()
        .map(({ id, language, placeholders }) => ({ id, language: language ?? null, placeholders })),
    }))
  }
  for (const path of endpointPaths(prefix, { fixed: ['/builtin'], prefixed: ['/builtin'] })) {
    const options = { config: { dialect: 'openai', surface: 'text', docs: endpointsDocs } as const }
    app.get(path, options, () => ({ endpoints: app.textEndpoints.list() }))
  }
}

export default fp(plugin, { name: 'routes/text/prompts', encapsulate: true })

const PromptsSchema = Type.Object({
  prompts: Type.Array(
    Type.Object({
      id: Type.String(),
      language: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      placeholders: Type.Array(Type.String()),
    }),
  ),
})

const EndpointsSchema = Type.Object({
  endpoints: Type.Array(Type.Object({ paths: Type.Array(Type.String()) }, { additionalProperties: true })),
})

const promptsDocs: EndpointDocs = {
  id: 'listPrompts',
  tag: 'Text endpoints',
  summary: 'List prompts',
  answers: [json('The prompts.', PromptsSchema)],
}

const endpointsDocs: EndpointDocs = {
  id: 'listTextEndpoints',
  tag: 'Text endpoints',
  summary: 'List text endpoints',
  answers: [
    json('The endpoints with their paths and the schemas of requests and responses.', EndpointsSchema),
  ],
}
