import type { FastifyInstance } from 'fastify'
import { Families, perKey } from './families.ts'

/** Maximum number of labels; further names are `other`. */
const maxNames = 1_000

/** Only the first names become labels, which bounds their number. */
export function boundedNames(most = maxNames): (name: string) => string {
  const known = new Set<string>()
  return (name) => {
    if (known.has(name)) return name
    if (known.size >= most) return 'other'
    known.add(name)
    return name
  }
}

/** Usage by group, cost and budgets; with a database. A request counts for its client's group and the parent group. */
export function exposeTeams(app: FastifyInstance): void {
  const { directory, usage, budgets, metrics } = app
  if (!directory) return
  const families = new Families(metrics.client)
  const counters = {
    requests: families.counter({
      name: 'llm_router_group_requests_total',
      help: "Completed requests by the client's group.",
      labelNames: ['group'],
    }),
    tokens: families.counter({
      name: 'llm_router_group_tokens_total',
      help: "Tokens by the client's group: input, output.",
      labelNames: ['group', 'direction'],
    }),
    cost: families.counter({
      name: 'llm_router_group_cost_total',
      help: "Cost by the client's group, from the prices of models and targets.",
      labelNames: ['group'],
    }),
    busy: families.counter({
      name: 'llm_router_group_busy_seconds_total',
      help: "Busy seconds of the servers by the client's group, divided among concurrent requests.",
      labelNames: ['group'],
    }),
    clientCost: families.counter({
      name: 'llm_router_client_cost_total',
      help: 'Cost by client, from the prices of models and targets.',
      labelNames: ['client'],
    }),
  }
  const groupName = boundedNames()
  const clientName = boundedNames()
  const seriesOf = perKey((group: string) => ({
    requests: counters.requests.series({ group }),
    input: counters.tokens.series({ group, direction: 'input' }),
    output: counters.tokens.series({ group, direction: 'output' }),
    cost: counters.cost.series({ group }),
    busy: counters.busy.series({ group }),
  }))
  const costOf = perKey((client: string) => counters.clientCost.series({ client }))
  usage.onBooked((row) => {
    costOf(clientName(row.client)).value += row.cost
    for (const group of budgets.groupsOf(row.client)) {
      const series = seriesOf(groupName(group))
      series.requests.value += row.requests
      series.input.value += row.prompt_tokens
      series.output.value += row.completion_tokens
      series.cost.value += row.cost
      series.busy.value += row.busy_ms / 1000
    }
  })
  exposeBudgets(app)
}

function exposeBudgets({ budgets, metrics }: FastifyInstance): void {
  const { Counter, Gauge } = metrics.client
  new Gauge({
    name: 'llm_router_budget_used_ratio',
    help: 'Amount spent in the current window of a budget, divided by its limit; only budgets used in the window.',
    labelNames: ['budget'],
    aggregator: 'max',
    collect() {
      this.reset()
      for (const { budget, ratio } of budgets.used().slice(0, maxNames)) this.set({ budget }, ratio)
    },
  })
  const { counts } = budgets
  new Counter({
    name: 'llm_router_budget_requests_total',
    help: 'Requests affected by a budget: refused, warned (a soft budget is used up), unchecked (the database is unavailable).',
    labelNames: ['result'],
    collect() {
      this.reset()
      this.inc({ result: 'refused' }, counts.refusals)
      this.inc({ result: 'warned' }, counts.warnings)
      this.inc({ result: 'unchecked' }, counts.unchecked)
    },
  })
  new Gauge({
    name: 'llm_router_budget_store_up',
    help: '0 while hard budgets cannot be checked because the database is unavailable.',
    aggregator: 'min',
    collect() {
      this.set(counts.isStoreDown ? 0 : 1)
    },
  })
}
