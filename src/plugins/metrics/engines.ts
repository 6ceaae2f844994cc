import type { FastifyInstance } from 'fastify'
import { cacheHitRatio, isLoaded } from '../../fleet/signals/engine-facts.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'
import type { Target } from '../../sdk/target.ts'
import { Families } from './families.ts'
import type { TargetLabels } from './labels.ts'

const states: readonly NonNullable<EngineSignals['state']>[] = ['ready', 'loading', 'asleep', 'down']

interface EngineGauge {
  name: string
  help: string
  of(signals: EngineSignals, target: Target): number | undefined
}

const gauges: readonly EngineGauge[] = [
  {
    name: 'llm_router_engine_running',
    help: 'Requests that the engine is running, from all of its users.',
    of: ({ running }) => running,
  },
  {
    name: 'llm_router_engine_waiting',
    help: "Requests in the engine's own queue, from all of its users.",
    of: ({ waiting }) => waiting,
  },
  {
    name: 'llm_router_engine_kv_use',
    help: 'Share of the KV cache in use, 0 to 1.',
    of: ({ kvUse }) => kvUse,
  },
  {
    name: 'llm_router_engine_cache_hit_ratio',
    help: 'Share of prompt tokens served from the prefix cache, 0 to 1.',
    of: cacheHitRatio,
  },
  {
    name: 'llm_router_engine_slots',
    help: 'Requests that the engine can run concurrently.',
    of: ({ slots, maxRunning }) => slots ?? maxRunning,
  },
  {
    name: 'llm_router_engine_model_loaded',
    help: "1 if the engine has the target's model in memory.",
    of(signals, target) {
      const loaded = isLoaded(target, signals)
      return loaded === undefined ? undefined : Number(loaded)
    },
  },
]

/** Signals of the last poll of each engine. Equal in every process of a router; unknown values have no sample. */
export function exposeEngines(app: FastifyInstance, names: TargetLabels): void {
  const families = new Families(app.metrics.client)
  for (const { name, help, of } of gauges)
    families.gauge({
      name,
      help,
      labelNames: ['model_name', 'target'],
      aggregator: 'max',
      *read() {
        for (const { target, signals } of polledEngines(app)) {
          const value = of(signals, target)
          if (value !== undefined) yield { labels: labelsOf(target, names), value }
        }
      },
    })
  families.gauge({
    name: 'llm_router_engine_state',
    help: '1 for the current state of the engine: ready, loading, asleep, down.',
    labelNames: ['model_name', 'target', 'state'],
    aggregator: 'max',
    *read() {
      for (const { target, signals } of polledEngines(app)) {
        if (signals.state === undefined) continue
        for (const state of states)
          yield { labels: { ...labelsOf(target, names), state }, value: Number(state === signals.state) }
      }
    },
  })
}

function* polledEngines(app: FastifyInstance): Iterable<{ target: Target; signals: EngineSignals }> {
  for (const model of app.models.all())
    for (const { target } of app.balancer.signals(model)) {
      const signals = app.engines.signalsOf(target)
      if (signals) yield { target, signals }
    }
}

function labelsOf(target: Target, names: TargetLabels): { model_name: string; target: string } {
  return { model_name: target.model, target: names.of(target) }
}
