import type { LiveSignals } from './live-signals.ts'

/** Larger than any real limit. */
const unlimited = 1_000_000

/**
 * Limit of concurrent requests at a target from its `max_in_flight`; 0: none for now; undefined: unlimited. `auto` uses
 * what its engine reported last.
 */
export function slotLimitOf(signals: LiveSignals): number | undefined {
  const { target, engine } = signals
  const { maxInFlight } = target
  if (maxInFlight !== 'auto') return maxInFlight
  if (target.type.autoLimit === 'one') return 1
  if (signals.reportedSlots !== undefined) return signals.reportedSlots
  if (target.type.autoLimit === 'slots') return 1
  return (engine?.waiting ?? 0) > 0 ? 0 : undefined
}

/** Slots of a target with an exclusive strategy: one unless configured. */
export function exclusiveSlotLimitOf(signals: LiveSignals): number {
  return signals.target.maxInFlight === undefined ? 1 : (slotLimitOf(signals) ?? unlimited)
}
