import fp from 'fastify-plugin'
import { acceptsHtml } from '../lib/html-pages.ts'
import { withoutBasePath } from './base-path.ts'

/**
 * Redirects browsers from the router's root to the console, which asks for a key if necessary. Programs get
 * `Ollama is running`. Runs before authentication, because a browser has no key yet.
 */
export default fp(
  (app, _options, done) => {
    const { ui, adminPort, basePath } = app.config
    if (!ui) return done()
    app.addHook('onRequest', (request, reply, next) => {
      const { method, originalUrl, headers, raw } = request
      if (method !== 'GET') return next()
      const [address = ''] = originalUrl.split('?', 1)
      if (withoutBasePath(address, basePath) !== '/') return next()
      reply.header('vary', 'accept')
      // With an admin port, the console is on that port only.
      const hasConsole = adminPort === 0 || app.adminPort.isUsedBy(raw)
      if (!hasConsole || !acceptsHtml(headers.accept)) return next()
      // Relative, so that it works below any path; `/llm` and `/llm/` lead to the same page.
      reply.redirect(`${address.slice(address.lastIndexOf('/') + 1)}/ui`.replace(/^\//, ''))
    })
    done()
  },
  { name: 'browser-root', dependencies: ['config', 'admin-port', 'exchange'] },
)
