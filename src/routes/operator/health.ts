import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { version } from '../../lib/version.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'

/** Liveness and version, which clients of Ollama and of the Python llm-router request first. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  // Tools detect an Ollama server by exactly this text.
  app.get('/', { config: { surface: 'any', docs: rootDocs } }, (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send('Ollama is running'),
  )

  for (const path of endpointPaths(prefix, { fixed: ['/ping'], prefixed: ['/ping'] })) {
    app.get(path, { config: { surface: 'any', docs: pingDocs } }, (request) => ({
      status: true,
      body: 'pong',
      response_time: request.exchange.elapsedMs() / 1000,
    }))
  }
  for (const path of endpointPaths(prefix, { fixed: ['/version', '/api/version'], prefixed: ['/version'] })) {
    app.get(path, { config: { surface: 'any', docs: versionDocs } }, () => ({ version }))
  }
}

export default fp(plugin, { name: 'routes/operator/health', encapsulate: true })

const PingSchema = Type.Object({
  status: Type.Literal(true),
  body: Type.Literal('pong'),
  response_time: Type.Number({ description: 'Seconds.' }),
})
const VersionSchema = Type.Object({ version: Type.String() })

const rootDocs: EndpointDocs = {
  id: 'root',
  tag: 'Operation',
  summary: 'Text by which tools detect an Ollama server',
  answers: [{ type: 'text/plain', description: '`Ollama is running`' }],
}

const pingDocs: EndpointDocs = {
  id: 'ping',
  tag: 'Operation',
  summary: 'Liveness',
  answers: [json('The router responds.', PingSchema)],
}

const versionDocs: EndpointDocs = {
  id: 'version',
  tag: 'Operation',
  summary: 'Version',
  answers: [json('The version of the router.', VersionSchema)],
}
