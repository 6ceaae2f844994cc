import type { FastifyInstance } from 'fastify'
import type { TargetSignals } from '../../sdk/strategy.ts'
import type { CheckedState } from '../../sdk/target.ts'
import type { BreakerState } from '../health/breaker.ts'
import type { TargetHealth } from '../health/target-health.ts'
import { Families } from './families.ts'
import type { TargetLabels } from './labels.ts'

const breakerStates: readonly BreakerState[] = ['closed', 'open', 'half_open']
const downReasons: readonly CheckedState[] = ['refused', 'silent', 'failing']
const restingReasons = ['busy', 'misconfigured'] as const

/**
 * State of the targets, read on demand. Each process has its own view: in a cluster, counts are summed and states
 * averaged.
 */
export function exposeTargets(app: FastifyInstance, names: TargetLabels): void {
  exposeCalls(app, names)
  exposeSlots(app, names)
  exposeCanaries(app, names)
  exposeStates(app, names)
  exposeMisconfigured(app, names)
  exposeQueues(app)
}

function exposeCalls(app: FastifyInstance, names: TargetLabels): void {
  new Families(app.metrics.client).gauge({
    name: 'llm_router_target_calls_in_flight',
    help: 'Attempts in flight at a target.',
    labelNames: ['model_name', 'target'],
    *read() {
      for (const signals of allSignals(app))
        yield { labels: labelsOf(signals, names), value: signals.inFlight }
    },
  })
}

function exposeSlots(app: FastifyInstance, names: TargetLabels): void {
  new Families(app.metrics.client).gauge({
    name: 'llm_router_target_places',
    help: 'Maximum number of concurrent requests at a target; absent for targets without a limit.',
    labelNames: ['model_name', 'target'],
    aggregator: 'max',
    *read() {
      for (const signals of allSignals(app)) {
        const value = app.balancer.slotLimit(signals.target)
        if (value !== undefined) yield { labels: labelsOf(signals, names), value }
      }
    },
  })
}

function exposeCanaries(app: FastifyInstance, names: TargetLabels): void {
  new Families(app.metrics.client).gauge({
    name: 'llm_router_target_canary',
    help: '1 for a target that is a canary; absent for the others.',
    labelNames: ['model_name', 'target'],
    aggregator: 'max',
    *read() {
      for (const signals of allSignals(app))
        if (signals.target.canary) yield { labels: labelsOf(signals, names), value: 1 }
    },
  })
}

function exposeStates(app: FastifyInstance, names: TargetLabels): void {
  const families = new Families(app.metrics.client)
  families.gauge({
    name: 'llm_router_target_usable',
    help: 'Share of processes that send the target requests other than probes.',
    labelNames: ['model_name', 'target'],
    aggregator: 'average',
    *read() {
      for (const signals of allSignals(app))
        yield { labels: labelsOf(signals, names), value: app.health.isUsable(signals.target) ? 1 : 0 }
    },
  })
  families.gauge({
    name: 'llm_router_target_down',
    help: 'Share of processes in which the target is down by its health checks: refused, silent (timeouts), failing.',
    labelNames: ['model_name', 'target', 'reason'],
    aggregator: 'average',
    *read() {
      for (const signals of allSignals(app)) {
        const now = app.health.stateOf(signals.target)
        for (const reason of downReasons)
          yield { labels: { ...labelsOf(signals, names), reason }, value: reason === now ? 1 : 0 }
      }
    },
  })
  families.gauge({
    name: 'llm_router_model_panic',
    help: '1 if all targets of the model are down and those whose checks only time out are used anyway.',
    labelNames: ['model_name'],
    aggregator: 'max',
    *read() {
      for (const model of app.models.all())
        yield { labels: { model_name: model.alias }, value: app.health.isPanicking(model) ? 1 : 0 }
    },
  })
  families.gauge({
    name: 'llm_router_target_breaker_state',
    help: 'Number of processes in which the breaker of the target is closed, open, half_open.',
    labelNames: ['model_name', 'target', 'state'],
    *read() {
      for (const signals of allSignals(app)) {
        const now = app.health.of(signals.target).breaker.state
        for (const state of breakerStates)
          yield { labels: { ...labelsOf(signals, names), state }, value: state === now ? 1 : 0 }
      }
    },
  })
  families.gauge({
    name: 'llm_router_target_resting',
    help: 'Number of processes in which the target is in cooldown: busy (it asked to wait), misconfigured (it rejects the credentials or the path).',
    labelNames: ['model_name', 'target', 'reason'],
    *read() {
      for (const signals of allSignals(app)) {
        const now = restingReason(app.health.of(signals.target))
        for (const reason of restingReasons)
          yield { labels: { ...labelsOf(signals, names), reason }, value: reason === now ? 1 : 0 }
      }
    },
  })
}

function exposeMisconfigured(app: FastifyInstance, names: TargetLabels): void {
  new Families(app.metrics.client).gauge({
    name: 'llm_router_target_misconfigured',
    help: 'Number of processes in which the target counts as misconfigured, by the HTTP status it returns.',
    labelNames: ['model_name', 'target', 'status'],
    *read() {
      for (const signals of allSignals(app)) {
        const { misconfigured } = app.health.of(signals.target)
        if (misconfigured)
          yield { labels: { ...labelsOf(signals, names), status: misconfigured.status }, value: 1 }
      }
    },
  })
}

function restingReason({ cooldownMs, misconfigured }: TargetHealth): 'busy' | 'misconfigured' | undefined {
  if (misconfigured !== undefined) return 'misconfigured'
  return cooldownMs > 0 ? 'busy' : undefined
}

function exposeQueues(app: FastifyInstance): void {
  const { Counter, Gauge } = app.metrics.client
  const { counts } = app.leases
  new Families(app.metrics.client).gauge({
    name: 'llm_router_queue_length',
    help: 'Requests waiting for a slot at a target.',
    labelNames: ['model_name'],
    *read() {
      for (const model of app.models.all())
        yield { labels: { model_name: model.alias }, value: app.balancer.waiting(model) }
    },
  })
  new Counter({
    name: 'llm_router_leases_local_total',
    help: 'Leases granted locally while Redis was unavailable; limits then apply within each process only.',
    collect() {
      this.reset()
      this.inc(counts.local)
    },
  })
  new Counter({
    name: 'llm_router_leases_lost_total',
    help: 'Leases revoked while their request was still running.',
    collect() {
      this.reset()
      this.inc(counts.revoked)
    },
  })
  if (app.leases.reachable === undefined) return
  new Gauge({
    name: 'llm_router_redis_up',
    help: '1 if the Redis that holds the leases answered the last command; in a cluster, for all processes.',
    aggregator: 'min',
    collect() {
      this.set(app.leases.reachable ? 1 : 0)
    },
  })
}

function allSignals(app: FastifyInstance): TargetSignals[] {
  return app.models.all().flatMap((model) => [...app.balancer.signals(model)])
}

function labelsOf({ target }: TargetSignals, names: TargetLabels): { model_name: string; target: string } {
  return { model_name: target.model, target: names.of(target) }
}
