import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type EndpointDocs, json } from '../core/api-docs.ts'
import { endpointPaths } from '../core/endpoint-paths.ts'

const folder = join(import.meta.dirname, '../../resources/docs-page')

/** As strict as the script lets it be, which brings its styles itself: nothing comes from or goes to another server. */
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
}

const javascript = 'text/javascript; charset=utf-8'

/** The API documentation: for programs, and as a page for people. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  if (!app.config.docs) return
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/openapi.json'],
    prefixed: ['/openapi.json'],
  })
  for (const path of paths) {
    app.get(path, { config: { docs: documentDocs } }, (_request, reply) =>
      reply.header('cache-control', 'no-cache').type('application/json').send(app.apiDocs.openapi()),
    )
  }
  const page = readFileSync(join(folder, 'index.html'), 'utf8')
  app.get('/docs', { config: { docs: pageDocs } }, (_request, reply) =>
    reply.headers(headers).type('text/html; charset=utf-8').send(page),
  )
  const start = readFileSync(join(folder, 'start.js'), 'utf8')
  app.get('/docs/start.js', { config: { docs: false } }, (_request, reply) =>
    reply.headers(headers).type(javascript).send(start),
  )
  app.get('/docs/scalar.js', { config: { docs: false } }, async (request, reply) => {
    const script = await app.apiDocs.pageScript()
    reply
      .headers({ ...headers, 'cache-control': 'private, max-age=3600', vary: 'accept-encoding' })
      .type(javascript)
    if (!/\bgzip\b/i.test(request.headers['accept-encoding'] ?? '')) return reply.send(await unzip(script))
    return reply.header('content-encoding', 'gzip').send(script)
  })
}

export default plugin

const unzip = promisify(gunzip)

const documentDocs: EndpointDocs = {
  id: 'openapi',
  tag: 'Operation',
  summary: 'This document',
  answers: [json('OpenAPI 3.1.')],
}

const pageDocs: EndpointDocs = {
  id: 'docsPage',
  tag: 'Operation',
  summary: 'This document as a page',
  answers: [{ type: 'text/html', description: 'The page.' }],
}
