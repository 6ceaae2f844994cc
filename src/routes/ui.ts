import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { EndpointDocs } from '../core/api-docs.ts'

const folder = join(import.meta.dirname, '../../resources/ui')

/** Nothing runs or loads but the files below, and nobody else's page can show this one. */
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
  summary: 'The status page',
  answers: [{ type: 'text/html', description: 'The page.' }],
}

const files: readonly { path: string; name: string; type: string; docs?: EndpointDocs }[] = [
  { path: '/ui', name: 'index.html', type: 'text/html; charset=utf-8', docs },
  { path: '/ui/status.css', name: 'status.css', type: 'text/css; charset=utf-8' },
  { path: '/ui/status.js', name: 'status.js', type: 'text/javascript; charset=utf-8' },
  { path: '/ui/parts.js', name: 'parts.js', type: 'text/javascript; charset=utf-8' },
  { path: '/ui/icon.svg', name: 'icon.svg', type: 'image/svg+xml' },
]

/** The status page for people, drawn from the status events. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  if (!app.config.ui) return
  const events = `${app.config.endpointPrefix}/status/events`
  for (const { path, name, type, docs = false } of files) {
    // Of a prefix's characters none means anything in HTML.
    const text = readFileSync(join(folder, name), 'utf8').replace('{{events}}', events)
    app.get(path, { config: { admin: true, docs } }, (_request, reply) =>
      reply.headers(headers).type(type).send(text),
    )
  }
}

export default plugin
