import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths, hasTrailingSlash, relativePath } from '../../lib/endpoint-paths.ts'
import type { EndpointDocs } from '../../sdk/endpoint-docs.ts'

const folder = join(import.meta.dirname, '../../../resources/ui')

/** The page runs and loads only the files below, and no other page can embed it. */
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
}

const docs: EndpointDocs = {
  id: 'statusPage',
  tag: 'Operation',
  summary: 'Status page',
  answers: [{ type: 'text/html', description: 'The page.' }],
}

const page = { name: 'index.html', type: 'text/html; charset=utf-8' }
const parts = [
  { name: 'status.css', type: 'text/css; charset=utf-8' },
  { name: 'status.js', type: 'text/javascript; charset=utf-8' },
  { name: 'parts.js', type: 'text/javascript; charset=utf-8' },
  { name: 'icon.svg', type: 'image/svg+xml' },
]

/** The status page, rendered from the status events. It refers to its parts by relative URLs. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  if (!app.config.ui) return
  const prefix = app.config.endpointPrefix
  const html = textOf(page.name)
  for (const path of endpointPaths(prefix, { fixed: ['/ui'], prefixed: ['/ui'] })) {
    // A prefix contains no characters that are special in HTML.
    const text = html.replace('{{events}}', relativePath(path, `${prefix}/status/events`))
    app.get(path, { config: { admin: true, docs } }, (request, reply) => {
      if (hasTrailingSlash(request.url)) return reply.redirect('../ui')
      return reply.headers(headers).type(page.type).send(text)
    })
    for (const { name, type } of parts) {
      const part = textOf(name)
      app.get(`${path}/${name}`, { config: { admin: true, docs: false } }, (_request, reply) =>
        reply.headers(headers).type(type).send(part),
      )
    }
  }
}

export default plugin

function textOf(name: string): string {
  return readFileSync(join(folder, name), 'utf8')
}
