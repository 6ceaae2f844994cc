import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { endpointPaths, hasTrailingSlash, relativeRoot } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'

const folder = join(import.meta.dirname, '../../../resources/docs-page')

/** The page cannot contact other servers. `unsafe-inline` is needed because the script injects styles. */
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
}

const javascript = 'text/javascript; charset=utf-8'

/** The API documentation, as an OpenAPI document and as a page. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  if (!app.config.docs) return
  const pathsFor = (path: string): string[] =>
    endpointPaths(app.config.endpointPrefix, { fixed: [path], prefixed: [path] })
  for (const path of pathsFor('/openapi.json')) {
    app.get(path, { config: { surface: 'any', page: true, docs: documentDocs } }, (request, reply) => {
      // The document may be public although client keys are enabled.
      const isUnknown = app.config.authEnabled && !request.client
      const { find } = app.rights.models(request)
      const usable = isUnknown ? [] : app.models.all().filter(({ alias }) => find(alias) !== undefined)
      return reply
        .header('cache-control', 'no-cache')
        .type('application/json')
        .send(app.apiDocs.openapi(relativeRoot(path), usable))
    })
  }
  const html = readFileSync(join(folder, 'index.html'), 'utf8')
  const start = readFileSync(join(folder, 'start.js'), 'utf8')
  for (const path of pathsFor('/docs')) {
    const page = html.replace('{{root}}', relativeRoot(path))
    app.get(path, { config: { surface: 'any', page: true, docs: pageDocs } }, (request, reply) => {
      if (hasTrailingSlash(request.url)) return reply.redirect('../docs')
      return reply.headers(headers).type('text/html; charset=utf-8').send(page)
    })
    app.get(`${path}/start.js`, { config: { surface: 'any', page: true, docs: false } }, (_request, reply) =>
      reply.headers(headers).type(javascript).send(start),
    )
    app.get(`${path}/scalar.js`, { config: { surface: 'any', page: true, docs: false } }, (request, reply) =>
      sendScript(app, request, reply),
    )
  }
}

export default fp(plugin, { name: 'routes/operator/api-docs', encapsulate: true })

const unzip = promisify(gunzip)

async function sendScript(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const script = await app.apiDocs.pageScript()
  reply
    .headers({ ...headers, 'cache-control': 'private, max-age=3600', vary: 'accept-encoding' })
    .type(javascript)
  if (!/\bgzip\b/i.test(request.headers['accept-encoding'] ?? '')) return reply.send(await unzip(script))
  return reply.header('content-encoding', 'gzip').send(script)
}

const DocumentSchema = Type.Object({
  openapi: Type.String(),
  info: Type.Object({ title: Type.String(), version: Type.String() }),
  paths: Type.Record(Type.String(), Type.Unknown()),
})

const documentDocs: EndpointDocs = {
  id: 'openapi',
  tag: 'Operation',
  summary: 'OpenAPI document',
  answers: [json('OpenAPI 3.1.', DocumentSchema)],
}

const pageDocs: EndpointDocs = {
  id: 'docsPage',
  tag: 'Operation',
  summary: 'API documentation page',
  answers: [{ type: 'text/html', description: 'The page.' }],
}
