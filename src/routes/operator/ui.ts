import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths, hasTrailingSlash } from '../../lib/endpoint-paths.ts'
import { acceptsHtml } from '../../lib/html-pages.ts'
import type { EndpointDocs } from '../../sdk/endpoint-docs.ts'
import { RouterError } from '../../sdk/errors.ts'

/** Pages of the console besides the overview, which is `/ui` itself. */
const pages = ['fleet', 'requests', 'playground', 'teams', 'models', 'settings'] as const

const answers = [{ type: 'text/html', description: 'The page.' }]
const docs: EndpointDocs = { id: 'console', tag: 'Operation', summary: 'Web console', answers }
const pageDocs: EndpointDocs = {
  id: 'consolePage',
  tag: 'Operation',
  summary: 'A page of the web console',
  description: `\`${pages.join('`, `')}\`.`,
  answers,
  path: { page: { name: 'page', description: 'Name of the page.', example: 'fleet' } },
}

const Params = Type.Object({ page: Type.String() })
const FileParams = Type.Object({ build: Type.String(), '*': Type.String() })

/** The web console. Its pages load their files by relative URLs and their data from the operator API. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const { console } = app
  if (!console) return
  // Without client keys the page itself is public, as it contains no secrets. If sign-in is possible, browsers are asked to
  // sign in anyway; other programs are not.
  const asksBrowsers = !app.config.authEnabled && consoleRole(app.config).role !== undefined
  const isKnown = (request: FastifyRequest, reply: FastifyReply): boolean =>
    app.sessions.find(request) !== undefined || app.rights.isOperator(request, reply)
  const send = (request: FastifyRequest, reply: FastifyReply, root: string, page = ''): FastifyReply => {
    const path = page === '' ? root : `${root}/${page}`
    if (hasTrailingSlash(request.url)) {
      const [, query = ''] = request.url.split(/(?=\?)/)
      return reply.redirect(`..${path.slice(path.lastIndexOf('/'))}${query}`)
    }
    const { html, headers } = console.page('index.html', path, root)
    if (asksBrowsers && acceptsHtml(request.headers.accept) && !isKnown(request, reply)) throw notSignedIn()
    const session = app.sessions.find(request) ? 'yes' : ''
    return reply
      .headers(headers)
      .type('text/html; charset=utf-8')
      .send(html.replace('{{signed-in}}', session))
  }
  for (const root of endpointPaths(app.config.endpointPrefix, { fixed: ['/ui'], prefixed: ['/ui'] })) {
    app.get(root, { config: { admin: true, docs } }, (request, reply) => send(request, reply, root))
    app.get(
      `${root}/:page`,
      { config: { admin: true, docs: pageDocs }, schema: { params: Params } },
      (request, reply) => {
        const page = pages.find((each) => each === request.params.page)
        if (page === undefined) throw notFound()
        return send(request, reply, root, page)
      },
    )
    // Public: the sign-in page needs them, and their content does not depend on the router.
    app.get(
      `${root}/:build/*`,
      { config: { admin: true, open: true, docs: false }, schema: { params: FileParams } },
      async (request, reply) => {
        const file = console.file(request.params['*'])
        if (!file) throw notFound()
        const coding = codingOf(request.headers['accept-encoding'])
        reply.headers({
          'cache-control':
            request.params.build === console.build ? 'public, max-age=31536000, immutable' : 'no-store',
          'x-content-type-options': 'nosniff',
          vary: 'accept-encoding',
        })
        if (coding !== 'identity') reply.header('content-encoding', coding)
        return reply.type(file.type).send(await file.body(coding))
      },
    )
  }
}

export default fp(plugin, { name: 'routes/operator/ui', encapsulate: true })

/** Falls back to gzip, because browsers accept Brotli only over HTTPS or from localhost. */
function codingOf(accepted = ''): 'br' | 'gzip' | 'identity' {
  const codings = new Set(
    accepted
      .toLowerCase()
      .split(',')
      .map((each) => each.trim())
      .filter((each) => !/;\s*q=0(?:\.0*)?$/.test(each))
      .map((each) => each.replace(/;.*$/, '')),
  )
  if (codings.has('br')) return 'br'
  return codings.has('gzip') ? 'gzip' : 'identity'
}

function notSignedIn(): RouterError {
  return new RouterError('auth', 'Sign in with an operator key', { code: 'missing_api_key' })
}

function notFound(): RouterError {
  return new RouterError('not_found', 'The console has no such page', { code: 'not_found' })
}
