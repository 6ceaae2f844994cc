import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type BusyAccount, BusyClock } from '../../relay/attempt/busy-clock.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { Target } from '../../sdk/target.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The time of servers, divided among the attempts at them. Everything that counts busy seconds counts these. */
    busy: {
      /** To which account the seconds of an attempt go as they pass. */
      countFor(account: (exchange: Exchange, target: Target) => BusyAccount): void
      /** An attempt begins. Call the result once at its end: its share in milliseconds. Undefined: nobody counts. */
      readonly begin: ((exchange: Exchange, target: Target) => () => number) | undefined
    }
  }
}

/** So that a long attempt is counted while it runs. */
const divideMs = 1_000

export default fp(
  (app, _options, done) => {
    const clock = new BusyClock<Target>(() => performance.now(), othersAt(app))
    const accounts: ((exchange: Exchange, target: Target) => BusyAccount)[] = []
    const begin = (exchange: Exchange, target: Target): (() => number) => {
      const own = { value: 0 }
      const end = clock.begin(target, own, ...accounts.map((account) => account(exchange, target)))
      return () => {
        end()
        return own.value * 1_000
      }
    }
    app.decorate('busy', {
      countFor: (account) => accounts.push(account),
      get begin() {
        return accounts.length > 0 || app.directory ? begin : undefined
      },
    })
    const timer = setInterval(() => clock.divide(), divideMs).unref()
    app.addHook('onClose', async () => clearInterval(timer))
    done()
  },
  { name: 'busy', dependencies: ['config', 'models', 'balancer', 'directory'] },
)

/** Attempts of other processes at the server of a target, as far as its signals tell. */
function othersAt(app: FastifyInstance): (target: Target) => number {
  const isShared = app.primary !== undefined || app.config.redisUrl !== '' || app.config.redisHost !== ''
  return (target) => {
    const model = isShared ? app.models.find(target.model) : undefined
    const signals = model && app.balancer.signals(model).find((each) => each.target === target)
    return signals?.engine?.others ?? 0
  }
}
