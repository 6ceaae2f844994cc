import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import type { UsageRow } from '../../stores/database/tables.ts'
import { UsageSums } from '../../stores/usage/sums.ts'
import { pricesOf, type UsageCost } from './prices.ts'
import { usageOf } from './usage-of.ts'

declare module 'fastify' {
  interface FastifyInstance {
    usage: {
      /** Flushes recorded usage to the database, or to the process that owns it. */
      flush(): void
      /** Calls the listener with the usage of each request at its end, before it can be flushed. */
      onBooked(listener: (row: UsageRow, record: ExchangeRecord) => void): void
      /** Cost of usage. */
      costOf(usage: UsageCost): number
    }
  }
}

/** Flush interval in milliseconds; a killed process loses at most this much usage. */
const flushMs = 500

/** Records usage in the database of LLM_ROUTER_DATABASE_URL. Requests never wait for it. */
export default fp(
  (app: FastifyInstance, _options, done) => {
    const { directory } = app
    const listeners: ((row: UsageRow, record: ExchangeRecord) => void)[] = []
    const sums = new UsageSums()
    const flush = (): void => {
      if (!sums.isEmpty) directory?.addUsage(sums.take())
    }
    app.decorate('usage', {
      flush,
      onBooked: (listener) => listeners.push(listener),
      costOf: (usage) => prices.costOf(usage),
    })
    let prices = pricesOf(directory?.snapshot() ?? { prices: [] })
    if (!directory) return done()
    directory.onChange((snapshot) => {
      prices = pricesOf(snapshot)
    })
    const book = (record: ExchangeRecord): void => {
      const now = Date.now()
      if (record.key !== undefined) sums.recordUse(record.key, now)
      for (const usage of usageOf(record, now)) {
        const row = { ...usage, cost: prices.costOf(usage) }
        sums.add(row)
        for (const listener of listeners) listener(row, record)
      }
    }
    app.exchanges.onEnd(book)
    app.internalCalls.onEnd((record, bookedTo) => book({ ...record, ...bookedTo }))
    const timer = setInterval(flush, flushMs).unref()
    // Runs before the directory closes: hooks run in reverse order.
    app.addHook('onClose', (_instance, closed) => {
      clearInterval(timer)
      flush()
      closed()
    })
    done()
  },
  { name: 'usage', dependencies: ['exchange', 'directory', 'internal-calls'] },
)
