import type { FastifyInstance } from 'fastify'
import type { TargetSignals } from '../../sdk/strategy.ts'
import type { CheckedState } from '../../sdk/target.ts'
import type { BreakerState } from '../health/breaker.ts'
import type { TargetHealth } from '../health/target-health.ts'
import { Families } from './families.ts'

const breakerStates: readonly BreakerState[] = ['closed', 'open', 'half_open']
const downReasons: readonly CheckedState[] = ['refused', 'silent', 'failing']
const restingReasons = ['busy', 'misconfigured'] as const

/**
 * What the router holds of its targets, read when it is asked for. Each process has its own view, so a cluster's answer
 * adds up what is counted, and averages what is a state.
 */
export function exposeTargets(app: FastifyInstance): void {
  exposeCalls(app)
  exposeStates(app)
  exposeMisconfigured(app)
  exposeQueues(app)
}

function exposeCalls(app: FastifyInstance): void {
  new Families(app.metrics.client).gauge({
    name: 'llm_router_target_calls_in_flight',
    help: 'Calls that a target is at work on.',
    labelNames: ['model_name', 'target'],
    *read() {
      for (const signals of allSignals(app)) yield { labels: labelsOf(signals), value: signals.inFlight }
    },
  })
}

function exposeStates(app: FastifyInstance): void {
  const families = new Families(app.metrics.client)
  families.gauge({
    name: 'llm_router_target_usable',
    help: 'Whether a target gets requests other than probes now: the share of processes that send it any.',
    labelNames: ['model_name', 'target'],
    aggregator: 'average',
    *read() {
      for (const signals of allSignals(app))
        yield { labels: labelsOf(signals), value: app.health.isUsable(signals.target) ? 1 : 0 }
    },
  })
  families.gauge({
    name: 'llm_router_target_down',
    help: 'The share of processes that hold a target down by its health checks: refused, silent (they time out), failing.',
    labelNames: ['model_name', 'target', 'reason'],
    aggregator: 'average',
    *read() {
      for (const signals of allSignals(app)) {
        const now = app.health.stateOf(signals.target)
        for (const reason of downReasons)
          yield { labels: { ...labelsOf(signals), reason }, value: reason === now ? 1 : 0 }
      }
    },
  })
  families.gauge({
    name: 'llm_router_model_panic',
    help: 'Whether all targets of a model are down, and those whose checks only time out are used nevertheless.',
    labelNames: ['model_name'],
    aggregator: 'max',
    *read() {
      for (const model of app.models.all())
        yield { labels: { model_name: model.alias }, value: app.health.isPanicking(model) ? 1 : 0 }
    },
  })
  families.gauge({
    name: 'llm_router_target_breaker_state',
    help: 'The breaker of a target: the number of processes in which it is closed, open, half_open.',
    labelNames: ['model_name', 'target', 'state'],
    *read() {
      for (const signals of allSignals(app)) {
        const now = app.health.of(signals.target).breaker.state
        for (const state of breakerStates)
          yield { labels: { ...labelsOf(signals), state }, value: state === now ? 1 : 0 }
      }
    },
  })
  families.gauge({
    name: 'llm_router_target_resting',
    help: 'The number of processes in which a target rests: busy (it asked for it), misconfigured (it refuses us).',
    labelNames: ['model_name', 'target', 'reason'],
    *read() {
      for (const signals of allSignals(app)) {
        const now = restingReason(app.health.of(signals.target))
        for (const reason of restingReasons)
          yield { labels: { ...labelsOf(signals), reason }, value: reason === now ? 1 : 0 }
      }
    },
  })
}

function exposeMisconfigured(app: FastifyInstance): void {
  new Families(app.metrics.client).gauge({
    name: 'llm_router_target_misconfigured',
    help: 'The number of processes in which a target is misconfigured, by the HTTP status that it answers with.',
    labelNames: ['model_name', 'target', 'status'],
    *read() {
      for (const signals of allSignals(app)) {
        const { misconfigured } = app.health.of(signals.target)
        if (misconfigured) yield { labels: { ...labelsOf(signals), status: misconfigured.status }, value: 1 }
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
    help: 'Requests that wait for a target of their own.',
    labelNames: ['model_name'],
    *read() {
      for (const model of app.models.all())
        yield { labels: { model_name: model.alias }, value: app.balancer.waiting(model) }
    },
  })
  new Counter({
    name: 'llm_router_leases_local_total',
    help: 'Targets taken while the lease store was away: exclusive within one process only.',
    collect() {
      this.reset()
      this.inc(counts.local)
    },
  })
  new Counter({
    name: 'llm_router_leases_lost_total',
    help: 'Targets that another request took while one was still at work.',
    collect() {
      this.reset()
      this.inc(counts.revoked)
    },
  })
  if (app.leases.reachable === undefined) return
  new Gauge({
    name: 'llm_router_redis_up',
    help: 'Whether the Redis that leases are kept in answered last time; in a cluster, to all processes.',
    aggregator: 'min',
    collect() {
      this.set(app.leases.reachable ? 1 : 0)
    },
  })
}

function allSignals(app: FastifyInstance): TargetSignals[] {
  return app.models.all().flatMap((model) => [...app.balancer.signals(model)])
}

function labelsOf({ target }: TargetSignals): { model_name: string; target: string } {
  return { model_name: target.model, target: target.id }
}
