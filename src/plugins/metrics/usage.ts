import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import { type Count, Families } from './families.ts'
import type { TargetLabels } from './labels.ts'

/** Maximum number of combinations of client, model and target; the clients of further ones are `other`. */
const maxSeries = 2_000

interface UsageSeries {
  input: Count
  output: Count
  busy: Count
}

/** Tokens and busy seconds of servers by client key, model and target. */
export function recordUsage(app: FastifyInstance, names: TargetLabels): (record: ExchangeRecord) => void {
  const seriesOf = usageSeries(app)
  app.busy.countFor(({ client }, target) => seriesOf(client, target.model, names.of(target)).busy)
  return ({ client, model, answeringModel, target, usage }) => {
    if (!usage || model === undefined || target === undefined) return
    const series = seriesOf(client, answeringModel ?? model, names.ofId(target))
    series.input.value += usage.promptTokens
    series.output.value += usage.completionTokens
  }
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
