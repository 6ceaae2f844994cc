import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths, hasTrailingSlash, relativePath } from '../../lib/endpoint-paths.ts'
import { pageHeaders } from '../../lib/page-headers.ts'
import type { EndpointDocs } from '../../sdk/endpoint-docs.ts'

const pageFolder = join(import.meta.dirname, '../../../resources/ui')

const docs: EndpointDocs = {
  id: 'statusPage',
  tag: 'Operation',
  summary: 'Status page',
  answers: [{ type: 'text/html', description: 'The page.' }],
}

const page = { name: 'index.html', type: 'text/html; charset=utf-8' }
const parts = [
  { name: 'status.css', type: 'text/css; charset=utf-8', open: true },
  { name: 'status.js', type: 'text/javascript; charset=utf-8' },
  { name: 'parts.js', type: 'text/javascript; charset=utf-8' },
  { name: 'sign-in.js', type: 'text/javascript; charset=utf-8', open: true },
  { name: 'icon.svg', type: 'image/svg+xml', open: true },
] as const

/** The status page, rendered from the status events. It refers to its parts by relative URLs. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  if (!app.config.ui) return
  const prefix = app.config.endpointPrefix
  const html = textOf(page.name)
  for (const path of endpointPaths(prefix, { fixed: ['/ui'], prefixed: ['/ui'] })) {
    // A prefix contains no characters that are special in HTML.
    const text = html.replace('{{events}}', relativePath(path, `${prefix}/status/events`))
    const session = relativePath(path, `${prefix}/session`)
    app.get(path, { config: { admin: true, docs } }, (request, reply) => {
      if (hasTrailingSlash(request.url)) return reply.redirect('../ui')
      return reply
        .headers(pageHeaders)
        .type(page.type)
        .send(text.replace('{{session}}', app.sessions.find(request) ? session : ''))
    })
    for (const { name, type, ...rest } of parts) {
      const part = textOf(name)
      app.get(`${path}/${name}`, { config: { admin: true, docs: false, ...rest } }, (_request, reply) =>
        reply.headers(pageHeaders).type(type).send(part),
      )
    }
  }
}

export default plugin

function textOf(name: string): string {
  return readFileSync(join(pageFolder, name), 'utf8')
}
