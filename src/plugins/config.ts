import fp from 'fastify-plugin'
import type { Config } from '../core/env-config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
  }
}

/** The settings of this process, already checked. */
export default fp(
  (app, options: { config: Config }, done) => {
    app.decorate('config', options.config)
    done()
  },
  { name: 'config' },
)
