import { hashOfText, mixed } from '../../lib/rolling-hash.ts'
import type { RoutingRequest } from '../../sdk/strategy.ts'
import type { Group } from './candidates.ts'
import type { LiveSignals } from './live-signals.ts'

/**
 * Gives each canary the share of sessions that its weight says, and none of the others. Every router decides the same for a session,
 * and a larger weight keeps the sessions that a smaller one had. Requests without a session are drawn one by one. A canary that cannot
 * be used is replaced by the others, and serves them only if none of them can.
 */
export class CanarySplit {
  readonly #random: () => number
  /** A request keeps its side when it is retried. */
  readonly #drawn = new WeakMap<RoutingRequest, number>()
  /** Strategies cache by list. */
  readonly #others = new WeakMap<readonly LiveSignals[], readonly LiveSignals[]>()

  /** `random`: 0 (included) to 1 (excluded). */
  constructor(random: () => number) {
    this.#random = random
  }

  /** `all`: the targets of the model, whose weights count also where they cannot be used. */
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
