import type { FastifyInstance } from 'fastify'
import type { Exchange, ExchangeRecord } from '../../relay/exchange.ts'
import type { Step } from '../../relay/steps.ts'
import type { Target } from '../../sdk/target.ts'
import { BusyClock } from './busy-clock.ts'
import { type Count, Families } from './families.ts'
import type { TargetLabels } from './labels.ts'

/** So many clients, models and targets together have series of their own; the clients of the rest are `other`. */
const maxSeries = 2_000
const divideMs = 1_000

interface UsageSeries {
  input: Count
  output: Count
  busy: Count
}

/** Tokens and busy seconds of servers by client key, model and target. */
export function recordUsage(
  app: FastifyInstance,
  names: TargetLabels,
): { onEnd(record: ExchangeRecord): void; onStep(step: Step, exchange: Exchange): void } {
  const seriesOf = usageSeries(app)
  const others = new Map<string, Target>()
  const isShared = app.primary !== undefined || app.config.redisUrl !== '' || app.config.redisHost !== ''
  const clock = new BusyClock(
    () => performance.now(),
    (server) => {
      const target = others.get(server)
      const model = isShared && target ? app.models.find(target.model) : undefined
      const signals = model && app.balancer.signals(model).find((each) => each.target === target)
      return signals?.engine?.others ?? 0
    },
  )
  // What a reload has removed is kept by nobody.
  app.models.onChange(() => {
    const present = new Set(app.models.all().flatMap(({ targets, sleeping }) => [...targets, ...sleeping]))
    for (const [server, target] of others) if (!present.has(target)) others.delete(server)
  })
  const timer = setInterval(() => clock.divide(), divideMs).unref()
  app.addHook('onClose', async () => clearInterval(timer))
  const open = new WeakMap<Exchange, { target: Target; series: Count }[]>()
  return {
    onEnd({ client, model, answeringModel, target, usage }) {
      if (!usage || model === undefined || target === undefined) return
      const series = seriesOf(client, answeringModel ?? model, names.ofId(target))
      series.input.value += usage.promptTokens
      series.output.value += usage.completionTokens
    },
    onStep(step, exchange) {
      if (step.type === 'began') {
        const { target } = step
        const { busy } = seriesOf(exchange.client, target.model, names.of(target))
        const list = open.get(exchange) ?? []
        open.set(exchange, list)
        list.push({ target, series: busy })
        others.set(serverOf(target), target)
        clock.begin(serverOf(target), target.gpus ?? 1, busy)
      } else if (step.type === 'attempt') {
        const { target } = step.attempt
        const list = open.get(exchange) ?? []
        const index = list.findIndex((each) => each.target === target)
        const [ended] = index === -1 ? [] : list.splice(index, 1)
        if (ended) clock.end(serverOf(target), ended.series)
      }
    },
  }
}

/** Targets of several models may be one server. */
function serverOf({ origin, connection, id }: Target): string {
  return origin === '' ? id : `${origin} ${connection?.address ?? ''} ${connection?.port ?? ''}`
}

function usageSeries(
  app: FastifyInstance,
): (client: string | undefined, model: string, target: string) => UsageSeries {
  const families = new Families(app.metrics.client)
  const tokens = families.counter({
    name: 'llm_router_usage_tokens_total',
    help: 'Tokens as reported by the upstreams, by client key, model and target.',
    labelNames: ['client', 'model_name', 'target', 'direction'],
  })
  const busy = families.counter({
    name: 'llm_router_usage_busy_seconds_total',
    help: 'Busy seconds of the servers times their accelerators, divided equally among the attempts in flight.',
    labelNames: ['client', 'model_name', 'target'],
  })
  const known = new Map<string, UsageSeries>()
  const made = (client: string, model_name: string, target: string): UsageSeries => {
    const key = JSON.stringify([client, model_name, target])
    const found = known.get(key)
    if (found) return found
    if (known.size >= maxSeries && client !== 'other') return made('other', model_name, target)
    const labels = { client, model_name, target }
    const series = {
      input: tokens.series({ ...labels, direction: 'input' }),
      output: tokens.series({ ...labels, direction: 'output' }),
      busy: busy.series(labels),
    }
    known.set(key, series)
    return series
  }
  return (client = 'none', model, target) => made(client, model, target)
}
