import fp from 'fastify-plugin'
import { ConfigError } from '../core/errors.ts'
import type { Lease } from '../core/lease.ts'
import type { StrategyInstance, TargetSignals } from '../core/strategy.ts'
import type { Model, Target } from '../core/target.ts'

export interface Balancer {
  /** Picks and reserves a target that is not in `tried`; undefined when none is left. */
  acquire(model: Model, tried: ReadonlySet<Target>, signal: AbortSignal): Promise<Lease | undefined>
  /** What is known of a model's targets now, in the order of the configuration. */
  signals(model: Model): readonly TargetSignals[]
}

declare module 'fastify' {
  interface FastifyInstance {
    balancer: Balancer
  }
}

interface ModelState {
  strategy: StrategyInstance
  signals: { target: Target; uses: number; inFlight: number }[]
}

export default fp(
  async (app) => {
    const states = new Map<Model, ModelState>()
    const context = { now: () => performance.now(), random: Math.random }
    const faults: string[] = []
    for (const model of app.models.all()) {
      const name = model.strategy ?? app.config.balanceStrategy
      const strategy = app.strategies.find(name)
      if (!strategy) {
        const place = model.strategy
          ? `${model.group}["${model.alias}"].strategy`
          : 'LLM_ROUTER_BALANCE_STRATEGY'
        const fault = `${place}: no strategy "${name}"; known: ${app.strategies.names().join(', ')}`
        if (!faults.includes(fault)) faults.push(fault)
        continue
      }
      const signals = model.targets.map((target) => ({ target, uses: 0, inFlight: 0 }))
      states.set(model, { strategy: strategy.create(context), signals })
    }
    if (faults.length > 0) throw new ConfigError(faults)

    app.decorate('balancer', {
      async acquire(model, tried) {
        const state = states.get(model)
        const candidates = state?.signals.filter(({ target }) => !tried.has(target)) ?? []
        if (!state || candidates.length === 0) return undefined
        const picked = state.strategy.pick(candidates)
        const signals = state.signals.find(({ target }) => target === picked.target)
        if (!signals) throw new Error('a strategy picked a target that it was not offered')
        return reserve(state, signals)
      },
      signals: (model) => states.get(model)?.signals ?? [],
    })
  },
  { name: 'balancer', dependencies: ['config', 'models', 'registries'] },
)

function reserve(state: ModelState, signals: ModelState['signals'][number]): Lease {
  const pickedAt = performance.now()
  let settled = false
  signals.uses++
  signals.inFlight++
  return {
    target: signals.target,
    settle(result, firstContentMs) {
      if (settled) return
      settled = true
      signals.inFlight--
      state.strategy.settled?.(signals.target, {
        result,
        durationMs: performance.now() - pickedAt,
        firstContentMs,
      })
    },
  }
}
