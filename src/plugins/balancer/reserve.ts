import type { FastifyInstance } from 'fastify'
import { outcomeOf } from '../../relay/attempt/attempt-result.ts'
import type { Lease, PickContext } from '../../relay/run/lease.ts'
import type { PickReason, RoutingRequest, TargetSignals } from '../../sdk/strategy.ts'
import type { TargetHealth } from '../health/target-health.ts'
import type { LiveSignals } from './live-signals.ts'
import { isCold } from './loaded-first.ts'
import { type ModelState, strategyFailed } from './model-states.ts'

type Health = Pick<FastifyInstance['health'], 'of'>

/** Throws if the strategy of an extension returned anything but a candidate. */
export function signalsIn(
  { live, strategyName }: ModelState,
  picked: Pick<TargetSignals, 'target'> | undefined,
): LiveSignals {
  const signals = picked && live.get(picked.target)
  if (signals) return signals
  throw strategyFailed(strategyName, 'no candidate')
}

/** Counts the target as picked. `release` is called when the lease is settled. */
export function reserve(
  state: ModelState,
  signals: LiveSignals,
  { traits, request }: PickContext,
  healths: Health,
  release?: () => void,
): Lease {
  const { target } = signals
  const pickedAt = now()
  const wasCold = isCold(signals)
  let settled = false
  const reason = reasonOf(state, signals, request)
  // Before anything is counted: the strategy of an extension may throw.
  state.strategy.taken?.(target, request)
  signals.countPicked()
  const health = healths.of(target)
  const ticket = health.begin(health.hasFeatureFailures ? traits.features : 0)
  return {
    target,
    reason,
    hasAnswered: Number.isFinite(health.answeredAt),
    contentSeen: () => health.contentSeen(),
    judge: (judgement) => health.judge(ticket, judgement),
    settle(attempted) {
      if (settled) return
      settled = true
      try {
        const wasEjected = isEjected(health)
        health.end(ticket, attempted)
        const at = now()
        const { firstContentMs, usage, streamed } = attempted?.type === 'success' ? attempted : noAnswer
        const outcome = { result: outcomeOf(attempted), durationMs: at - pickedAt, firstContentMs, usage }
        signals.settled(outcome, at, { tokens: streamed ? usage?.completionTokens : undefined, wasCold })
        // The target recovered: its share grows slowly.
        if (wasEjected && !isEjected(health)) signals.returnedAt = at
        // A target that was removed meanwhile no longer belongs to the strategy.
        if (state.strategy.settled && holds(state, signals))
          state.safely(() => state.strategy.settled?.(signals.target, outcome, request))
        state.onSettled(target, attempted)
      } finally {
        // Last, because it lets a waiting request pick a target by the current signals.
        release?.()
      }
    },
  }
}

function reasonOf(
  { strategy, strategyName, live, safely }: ModelState,
  { target }: LiveSignals,
  request: RoutingRequest,
): PickReason {
  if (live.size === 1) return 'only target'
  if (target.canary) return 'canary'
  if (!strategy.reason) return strategyName
  const reason: unknown = safely(() => strategy.reason?.(target, request))
  if (typeof reason === 'string') return reason
  // The log reads it when the request has ended, where nothing would catch an exception.
  return () => {
    const text: unknown = typeof reason === 'function' ? safely(() => reason()) : undefined
    return typeof text === 'string' ? text : strategyName
  }
}

const noAnswer = { firstContentMs: undefined, usage: undefined, streamed: false }

function holds({ live }: ModelState, signals: LiveSignals): boolean {
  return live.get(signals.target) === signals
}

function isEjected({ breaker }: TargetHealth): boolean {
  return breaker.state !== 'closed'
}

function now(): number {
  return performance.now()
}
