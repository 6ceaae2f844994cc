import fp from 'fastify-plugin'
import type { Config } from '../config/settings.ts'
import type { Channel } from '../lib/channel.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
    /** 0 (included) to 1 (excluded): what strategies draw with. */
    random: () => number
    /** The primary of a cluster; undefined in a router that is one process. */
    primary: Channel | undefined
  }
}

/** What whoever starts this process gives it: its settings, already checked, and the way to its primary. */
export default fp(
  (app, options: { config: Config; random?: () => number; primary?: Channel }, done) => {
    app.decorate('config', options.config)
    app.decorate('random', options.random ?? Math.random)
    app.decorate('primary', options.primary)
    done()
  },
  { name: 'config' },
)
