import { hashOfText, mixed } from '../../lib/rolling-hash.ts'
import type { RoutingRequest } from '../../sdk/strategy.ts'
import type { Group, LiveSignals } from './live-signals.ts'

/**
 * Gives each canary exactly the share of sessions set by its weight. Every router decides the same for a session,
 * and a larger weight keeps the sessions of a smaller one. Requests without a session are drawn individually. An unusable canary
 * is replaced by the other targets, and serves their sessions only if none of them is usable.
 */
export class CanarySplit {
  readonly #random: () => number
  /** A retried request stays with its choice. */
  readonly #drawn = new WeakMap<RoutingRequest, number>()
  /** Strategies cache by list. */
  readonly #others = new WeakMap<readonly LiveSignals[], readonly LiveSignals[]>()

  /** `random`: 0 (inclusive) to 1 (exclusive). */
  constructor(random: () => number) {
    this.#random = random
  }

  /** `all`: all targets of the model; weights of unusable ones count too. */
  apply(groups: readonly Group[], all: readonly LiveSignals[], request: RoutingRequest): readonly Group[] {
    const others = groups
      .map((group) => ({ ...group, signals: this.#without(group.signals) }))
      .filter(hasTargets)
    const chosen = this.#chosen(all.filter(isCanary), request)
    const own = groups.find(({ signals }) => signals.some((each) => each === chosen))
    const first = chosen && own ? [{ ...own, signals: [chosen] }] : []
    return others.length + first.length > 0 ? [...first, ...others] : groups
  }

  #chosen(canaries: readonly LiveSignals[], request: RoutingRequest): LiveSignals | undefined {
    if (request.canary === false) return undefined
    const sum = canaries.reduce((total, each) => total + weightOf(each), 0)
    const span = request.canary ? sum : Math.max(1, sum)
    let left = this.#positionOf(request) * span
    for (const each of canaries) {
      left -= weightOf(each)
      if (left < 0) return each
    }
    return request.canary ? canaries[0] : undefined
  }

  #positionOf(request: RoutingRequest): number {
    const { session, client } = request
    if (session !== undefined) return mixed(hashOfText(`${client}\0${session}`) % 0x100000000) / 0x100000000
    const known = this.#drawn.get(request) ?? this.#random()
    this.#drawn.set(request, known)
    return known
  }

  #without(signals: readonly LiveSignals[]): readonly LiveSignals[] {
    if (!signals.some(isCanary)) return signals
    const known = this.#others.get(signals) ?? signals.filter((each) => !isCanary(each))
    this.#others.set(signals, known)
    return known
  }
}

export function isCanary({ target }: Pick<LiveSignals, 'target'>): boolean {
  return target.canary === true
}

function weightOf({ target, weight = target.weight }: LiveSignals): number {
  return weight
}

function hasTargets({ signals }: Group): boolean {
  return signals.length > 0
}
