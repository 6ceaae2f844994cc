import fp from 'fastify-plugin'
import type { Config } from '../config/settings/settings.ts'
import type { Channel } from '../lib/channel.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
    /** 0 (inclusive) to 1 (exclusive): source of randomness for strategies. */
    random: () => number
    /** The cluster's primary process; undefined in a single process. */
    primary: Channel | undefined
  }
}

/** Provides what this process was started with: its validated settings and the channel to its primary. */
export default fp(
  (app, options: { config: Config; random?: () => number; primary?: Channel }, done) => {
    app.decorate('config', options.config)
    app.decorate('random', options.random ?? Math.random)
    app.decorate('primary', options.primary)
    done()
  },
  { name: 'config' },
)
