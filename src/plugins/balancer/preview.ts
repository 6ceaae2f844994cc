import type { FastifyInstance } from 'fastify'
import type { PickContext } from '../../relay/run/lease.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import { candidates } from './candidates.ts'
import type { Group, LiveSignals } from './live-signals.ts'
import { isCold, loadedFirst } from './loaded-first.ts'
import type { ModelState } from './model-states.ts'
import { exclusiveSlotLimitOf, slotLimitOf } from './slot-limit.ts'

/** One possible target of a request. */
export interface PreviewedTarget {
  target: Target
  /** Index of its group; a group is used only if no target of an earlier one is usable. */
  group: number
  isStandby: boolean
  /** Score of the strategy, higher is better; undefined if it has none. */
  score: number | undefined
  /** It has no free slot as far as this process knows. */
  isFull: boolean
}

export interface Preview {
  strategy: string
  /** Ordered by group, within a group by strategy or configuration. */
  candidates: readonly PreviewedTarget[]
  /** Undefined: none now, see `waits` and `error`, or the strategy cannot predict its pick. */
  choice: { target: Target; reason: string } | undefined
  /** The request would wait for a slot. */
  waits: boolean
  /** The error of the request if no target is usable. */
  error: RouterError | undefined
}

/** Computes what a request would get now, using the deciding code but without effect. */
export function preview(
  state: ModelState,
  context: PickContext,
  { health, none }: { health: FastifyInstance['health']; none(): RouterError },
): Preview {
  const groups = candidates(state, context, health)
  const { strategy, strategyName } = state
  const isExclusive = 'order' in strategy
  const isFull = (signals: LiveSignals): boolean => {
    const slots = isExclusive ? exclusiveSlotLimitOf(signals) : slotLimitOf(signals)
    return signals.inFlight >= (slots ?? Number.POSITIVE_INFINITY)
  }
  const listed = groups.map((group, index) => ranked(state, group, { context, index, isFull }))
  const first = listed.find((list) => list.some((each) => !each.isFull))
  const open = first?.filter((each) => !each.isFull).map(({ signals }) => signals) ?? []
  const chosen = isExclusive ? open[0] : open.length === 0 ? undefined : previewed(state, open, context)
  return {
    strategy: strategyName,
    candidates: listed.flat().map(({ signals, ...rest }) => ({ target: signals.target, ...rest })),
    choice: chosen && { target: chosen.target, reason: reasonOf(state, chosen, context) },
    waits: groups.length > 0 && open.length === 0,
    error: groups.length === 0 ? none() : undefined,
  }
}

type Ranked = Omit<PreviewedTarget, 'target'> & { signals: LiveSignals }

function ranked(
  { strategy, live }: ModelState,
  { signals, isStandby }: Group,
  { context, index, isFull }: { context: PickContext; index: number; isFull(signals: LiveSignals): boolean },
): Ranked[] {
  const of = ({ target }: { target: Target }): LiveSignals => live.get(target) ?? signals[0] ?? none()
  if ('order' in strategy) {
    const ordered = strategy.order(loadedFirst(signals, isCold), context.request).map(of)
    return ordered.map((each) => ({
      signals: each,
      group: index,
      isStandby,
      score: undefined,
      isFull: isFull(each),
    }))
  }
  const scores = strategy.scores?.(signals, context.request)
  return signals.map((each, position) => ({
    signals: each,
    group: index,
    isStandby,
    score: scores?.[position],
    isFull: isFull(each),
  }))
}

function previewed(
  { strategy, loadedFirst: loaded }: ModelState,
  open: readonly LiveSignals[],
  { request }: PickContext,
): { target: Target } | undefined {
  if ('order' in strategy) return undefined
  const soonest = loaded.soonest(open)
  return strategy.preview?.(soonest, request) ?? strategy.rank?.(soonest, request)[0]
}

function reasonOf(
  { strategy, strategyName, live }: ModelState,
  { target }: { target: Target },
  context: PickContext,
): string {
  if (live.size === 1) return 'only target'
  if (target.canary) return 'canary'
  const reason = strategy.reason?.(target, context.request) ?? strategyName
  return typeof reason === 'string' ? reason : reason()
}

function none(): never {
  throw new Error('a group without targets')
}
