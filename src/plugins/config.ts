import fp from 'fastify-plugin'
import type { Config } from '../config/settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
    /** 0 (included) to 1 (excluded): what strategies draw with. */
    random: () => number
  }
}

/** The settings of this process, already checked. */
export default fp(
  (app, options: { config: Config; random?: () => number }, done) => {
    app.decorate('config', options.config)
    app.decorate('random', options.random ?? Math.random)
    done()
  },
  { name: 'config' },
)
