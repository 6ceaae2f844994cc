import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import { BudgetLedger } from '../../stores/budgets/ledger.ts'
import { amountOf, BudgetIndex } from '../../stores/budgets/spent.ts'
import { costOf } from '../auth/request-cost.ts'
import { requestedModel } from '../models/requested-model.ts'
import { Expectations } from './expectations.ts'
import { refusal, resetHeaders, storeDown } from './refusal.ts'

declare module 'fastify' {
  interface FastifyInstance {
    budgets: {
      /** The budgets of a client and its groups, with their remainders. */
      left(client: string): Promise<BudgetLeft[]>
      /**
       * Checks the budgets for a model that is known only after the body has been read, or for an internal call.
       * Throws the same errors as for a request that names the model. `model`: its alias.
       */
      admitModel(request: FastifyRequest, model: string): Promise<void>
      /** Whether a hard budget for this model only is known to be used up. */
      isUsedUp(client: string, model: string): boolean
      /** State of the budgets used by this process, for metrics. */
      used(): { budget: string; ratio: number }[]
      /** A client's group, and the group above it. */
      groupsOf(client: string): readonly string[]
      readonly counts: BudgetCounts
    }
  }
}

interface BudgetLeft {
  id: string
  unit: BudgetRecord['unit']
  model: string | null
  window: BudgetRecord['window']
  hard: boolean
  limit: number
  /** Null: the database is unavailable and this process has not read it before. */
  spent: number | null
  left: number | null
  resets_at: string | null
}

interface BudgetCounts {
  refusals: number
  /** Requests admitted although a hard budget could not be checked. */
  unchecked: number
  /** Requests on an exhausted soft budget. */
  warnings: number
  isStoreDown: boolean
}

/** How often slices are renewed, in milliseconds. */
const renewMs = 1_000
/** Timeout of a renewal in milliseconds, after which the database counts as unavailable. */
const waitMs = 2_000
/** How long the shutdown waits for slices to be returned, in milliseconds. */
const returnMs = 2_000

/** Budgets of clients and groups, with LLM_ROUTER_DATABASE_URL. Clients without one never wait here. */
export default fp(
  (app: FastifyInstance, _options, done) => {
    const { directory, config } = app
    const counts: BudgetCounts = { refusals: 0, unchecked: 0, warnings: 0, isStoreDown: false }
    if (!directory) {
      app.decorate('budgets', { ...noBudgets, counts })
      return done()
    }
    const holder = randomBytes(8).toString('hex')
    const ledger = new BudgetLedger({
      renew(budgets) {
        app.usage.flush()
        return within(waitMs, directory.renewBudgets({ holder, budgets }))
      },
      now: () => performance.now(),
    })
    const expectations = new Expectations((usage) => app.usage.costOf(usage))
    let index = new BudgetIndex(directory.snapshot())
    directory.onChange((snapshot) => {
      index = new BudgetIndex(snapshot)
    })
    app.usage.onBooked((row, record) => {
      expectations.learn(row, record)
      for (const { id, record: budget } of index.of(row.client, row.model))
        ledger.charge(id, amountOf(budget.unit, row))
    })

    const reported = new Set<string>()
    const warn = (id: string, { limit }: BudgetRecord, reply: FastifyReply): void => {
      const spent = ledger.spentOf(id)
      const state = ledger.stateOf(id)
      if (spent === undefined || !state || spent < limit) return
      counts.warnings++
      const percent = Math.floor((spent / limit) * 100)
      reply.header('x-llm-router-budget-warning', `${id} is at ${percent}% until ${iso(state.resetsAt)}`)
      const window = `${id}/${state.start}`
      if (reported.has(window)) return
      reported.add(window)
      app.log.warn({ budget: id, percent, resets_at: iso(state.resetsAt) }, 'a soft budget is used up')
    }

    /** The budgets that have admitted a request. */
    const admitted = new WeakMap<FastifyRequest, Set<string>>()

    async function admit(
      request: FastifyRequest,
      model: string | undefined,
      reply?: FastifyReply,
    ): Promise<void> {
      const { client, exchange } = request
      if (!client) return
      const cost = costOf(request)
      if (!cost.usesModel) return
      const before = admitted.get(request) ?? new Set()
      const budgets = index
        .of(client.id, model)
        .filter(({ id, record }) => (model !== undefined || !record.model) && !before.has(id))
      if (budgets.length === 0) return
      const requested = budgets.map(({ id, record }) => ({
        id,
        record,
        expected: expectations.of(record.unit, model, cost),
      }))
      const admission = await ledger.admit(requested, config.budgetStoreDown)
      noteStore()
      if (admission.rejectedBy !== undefined) {
        counts.refusals++
        request.limitUse?.refuse()
        const { rejectedBy: id, state, isDown } = admission
        const record = budgets.find((each) => each.id === id)?.record
        if (isDown || !state || !record) throw storeDown(id)
        reply?.headers(resetHeaders(app.errorDialectOf(request), state.resetsAt))
        throw refusal(id, record, state)
      }
      if (ledger.isDown && budgets.some(({ record }) => record.hard !== false)) counts.unchecked++
      // The client may have disconnected meanwhile.
      if (exchange.signal.aborted) admission.end()
      else exchange.onClose(() => admission.end())
      admitted.set(request, new Set([...before, ...budgets.map(({ id }) => id)]))
      for (const { id, record } of budgets) if (reply && record.hard === false) warn(id, record, reply)
    }

    function noteStore(): void {
      if (counts.isStoreDown === ledger.isDown) return
      counts.isStoreDown = ledger.isDown
      const whenDown = config.budgetStoreDown
      if (ledger.isDown)
        app.log.warn({ when_down: whenDown }, 'budgets cannot be checked: database unavailable')
      else app.log.info('budgets are checked again')
    }

    // After the limits of the key, and once the body has been read.
    app.addHook('preHandler', (request, reply, next) => {
      const { client, method } = request
      if (!client || method !== 'POST' || index.of(client.id, undefined).length === 0) return next()
      admit(request, requestedModel(app, request), reply).then(() => next(), next)
    })
    const timer = setInterval(() => void ledger.renew().then(noteStore), renewMs).unref()
    app.addHook('onClose', async () => {
      clearInterval(timer)
      app.usage.flush()
      const returned = directory.returnBudgets(holder).catch(() => undefined)
      await Promise.race([returned, new Promise((resolve) => setTimeout(resolve, returnMs).unref())])
    })
    app.decorate('budgets', {
      async left(client) {
        const own = index.of(client, undefined)
        await ledger.load(own.map(({ id }) => id))
        return own.map(({ id, record }) => leftOf(id, record, ledger))
      },
      async admitModel(request, model) {
        if (request.client && index.of(request.client.id, model).length > 0) await admit(request, model)
      },
      isUsedUp: (client, model) =>
        index
          .of(client, model)
          .some(
            ({ id, record }) =>
              record.model &&
              record.hard !== false &&
              (ledger.lastSpentOf(id, Date.now()) ?? 0) >= record.limit,
          ),
      used: () =>
        directory.snapshot().budgets.flatMap(({ id, record }) => {
          const spent = ledger.lastSpentOf(id, Date.now())
          return spent === undefined ? [] : [{ budget: id, ratio: spent / record.limit }]
        }),
      groupsOf: (client) => index.groupsOf(client),
      counts,
    })
    done()
  },
  { name: 'budgets', dependencies: ['config', 'exchange', 'directory', 'auth', 'usage', 'models', 'errors'] },
)

const noBudgets = {
  left: async () => [],
  admitModel: async () => undefined,
  isUsedUp: () => false,
  used: () => [],
  groupsOf: () => [],
}

function leftOf(id: string, record: BudgetRecord, ledger: BudgetLedger): BudgetLeft {
  const spent = ledger.spentOf(id)
  const state = ledger.stateOf(id)
  return {
    id,
    unit: record.unit,
    model: record.model ?? null,
    window: record.window,
    hard: record.hard !== false,
    limit: record.limit,
    spent: spent ?? null,
    left: spent === undefined ? null : Math.max(0, record.limit - spent),
    resets_at: state ? iso(state.resetsAt) : null,
  }
}

function within<Value>(ms: number, work: Promise<Value>): Promise<Value> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('the database does not answer')), ms)
  return Promise.race([work, promise]).finally(() => clearTimeout(timer))
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
