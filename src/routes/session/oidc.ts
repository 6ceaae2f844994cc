import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { pageHeaders } from '../../lib/html-pages.ts'
import type { EndpointDocs } from '../../sdk/endpoint-docs.ts'

/** Sign-in with OpenID Connect: the redirect to the provider, and the callback. */
const plugin: FastifyPluginAsync = async (app) => {
  const { config, sessions, oidc } = app
  if (!oidc) return
  const path = `${config.endpointPrefix}/session/oidc`
  const startPage = `${config.publicUrl}${config.ui ? '/ui' : `${config.endpointPrefix}/session`}`
  // A page instead of a redirect: the cookie is SameSite=Strict, so browsers would not send it after a redirect from the
  // provider.
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=${startPage}"><title>Signed in</title><p><a href="${startPage}">Signed in</a></p></html>`
  for (const admin of app.adminPort.both) {
    const options = { admin, surface: 'operator', open: true, errors: 'problem' } as const
    app.get(path, { config: { ...options, docs } }, async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return reply.redirect(await oidc.begin(request, reply))
    })
    app.get(`${path}/callback`, { config: { ...options, docs: false } }, async (request, reply) => {
      reply.headers({ ...pageHeaders, 'cache-control': 'no-store' })
      sessions.begin(request, reply, { user: await oidc.finish(request, reply) })
      return reply.type('text/html; charset=utf-8').send(page)
    })
  }
}

export default fp(plugin, { name: 'routes/session/oidc', encapsulate: true })

const docs: EndpointDocs = {
  id: 'signInByProvider',
  tag: 'Operation',
  summary: 'Sign in by OpenID Connect',
  description: 'For browsers: redirects to the identity provider, which redirects back and starts a session.',
  status: '302',
  answers: [],
}
