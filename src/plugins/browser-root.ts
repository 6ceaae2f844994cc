import fp from 'fastify-plugin'
import { acceptsHtml } from '../lib/accepts-html.ts'
import { withoutBasePath } from './base-path.ts'

/**
 * Leads a browser that asks for the router's root to the console, which asks for a key where one is needed. Programs get
 * `Ollama is running`. Before authentication: a browser has no key to send here.
 */
export default fp(
  (app, _options, done) => {
    const { ui, adminPort, basePath } = app.config
    if (!ui) return done()
    app.addHook('onRequest', (request, reply, next) => {
      const { method, originalUrl, headers, raw } = request
      const [address = ''] = originalUrl.split('?', 1)
      if (method !== 'GET' || withoutBasePath(address, basePath) !== '/') return next()
      reply.header('vary', 'accept')
      // The console is on the admin port alone, where there is one.
      const hasConsole = adminPort === 0 || app.adminPort.isUsedBy(raw)
      if (!hasConsole || !acceptsHtml(headers.accept)) return next()
      // Relative, so that it works below any path; `/llm` and `/llm/` lead to the same page.
      reply.redirect(`${address.slice(address.lastIndexOf('/') + 1)}/ui`.replace(/^\//, ''))
    })
    done()
  },
  { name: 'browser-root', dependencies: ['config', 'admin-port', 'exchange'] },
)
