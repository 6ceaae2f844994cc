import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type BusyAccount, BusyClock } from '../../relay/attempt/busy-clock.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { Target } from '../../sdk/target.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Server time divided among attempts; the source of all busy seconds. */
    busy: {
      /** Account that is charged for an attempt while it runs. */
      countFor(account: (exchange: Exchange, target: Target) => BusyAccount): void
      /** Starts an attempt. Call the result once, at its end, for its share in milliseconds. Undefined: not counted. */
      readonly begin: ((exchange: Exchange, target: Target) => () => number) | undefined
    }
  }
}

/** Interval at which running attempts are counted. */
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

/** Attempts of other processes at a target's server, according to its signals. */
function othersAt(app: FastifyInstance): (target: Target) => number {
  const isShared = app.primary !== undefined || app.config.redisUrl !== '' || app.config.redisHost !== ''
  return (target) => {
    const model = isShared ? app.models.find(target.model) : undefined
    const signals = model && app.balancer.signals(model).find((each) => each.target === target)
    return signals?.engine?.others ?? 0
  }
}
