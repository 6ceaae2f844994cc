import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Lease, PickContext } from '../../relay/run/lease.ts'
import type { ExclusiveInstance, SharingInstance } from '../../sdk/strategy.ts'
import type { LeaseCandidate, LeaseRequest, StoredLease } from '../../stores/leases/store.ts'
import { lastAnswered, unreliableRate } from './candidates.ts'
import type { Group, LiveSignals } from './live-signals.ts'
import { isCold, loadedFirst } from './loaded-first.ts'
import { type ModelState, strategyFailed } from './model-states.ts'
import { reserve, signalsIn } from './reserve.ts'
import { exclusiveSlotLimitOf, slotLimitOf } from './slot-limit.ts'

type Health = FastifyInstance['health']

interface SlotAcquisitionOptions {
  app: Pick<FastifyInstance, 'leases' | 'health'>
  alias: string
  state: ModelState
  context: PickContext
  /** By lease key; aborted when the lease is revoked. */
  revocations: Map<string, AbortController>
  /** The targets that the request may use now; throws the error for the client if there is none. */
  groups(): readonly Group[]
}

/** Takes a slot at a target for one request, immediately or when its turn comes. */
export abstract class SlotAcquisition {
  readonly isComplete: boolean
  protected readonly options: SlotAcquisitionOptions
  /** Idempotency key of the acquisition: a retry after a lost response gets the same lease. */
  readonly #key = randomBytes(12).toString('hex')
  #leaseRequest: LeaseRequest | undefined

  constructor(options: SlotAcquisitionOptions) {
    const { tried, canServe } = options.context
    this.options = options
    this.isComplete = tried.size === 0 && canServe === undefined
  }

  /** Undefined if no target has a free slot. Throws StoreDownError if that cannot be determined. */
  abstract take(): Promise<Lease | undefined>

  returnSlot(lease: Lease): void {
    lease.settle(undefined)
  }

  abandon(): void {
    if (this.#leaseRequest) void this.options.app.leases.abandon(this.#leaseRequest)
  }

  protected groups(): readonly Group[] {
    const { app, context } = this.options
    return lastAttemptOrder(this.options.groups(), context, app.health)
  }

  /** Asks the store. */
  protected requestLease(
    targets: readonly LeaseCandidate[],
    affinity: boolean,
  ): Promise<StoredLease | undefined> {
    const { app, alias } = this.options
    this.#leaseRequest = { key: this.#key, model: alias, targets, affinity, complete: this.isComplete }
    return app.leases.acquire(this.#leaseRequest)
  }

  protected leaseFor(signals: LiveSignals, stored: StoredLease): Lease {
    const { app, state, context, revocations } = this.options
    const { leases, health } = app
    const revocation = leases.onRevoked && new AbortController()
    if (revocation) revocations.set(stored.key, revocation)
    const release = (): void => {
      revocations.delete(stored.key)
      void leases.release(stored)
    }
    try {
      const lease = reserve(state, signals, context, health, release)
      return revocation ? { ...lease, revoked: revocation.signal } : lease
    } catch (error) {
      release()
      throw error
    }
  }
}

/** The store takes the first target with a free slot, in the strategy's order. */
export class ExclusiveAcquisition extends SlotAcquisition {
  readonly #strategy: ExclusiveInstance

  constructor(strategy: ExclusiveInstance, options: SlotAcquisitionOptions) {
    super(options)
    this.#strategy = strategy
  }

  async take(): Promise<Lease | undefined> {
    const { app, state } = this.options
    const stored = await this.requestLease(this.#candidates(), state.affinity)
    if (!stored) return undefined
    const signals = [...state.active, ...state.standby].find(({ target }) => target.id === stored.target.id)
    if (signals) return this.leaseFor(signals, stored)
    // The target was removed from the configuration while the store chose it.
    await app.leases.release(stored)
    return this.take()
  }

  #candidates(): readonly LeaseCandidate[] {
    const { state, context } = this.options
    const { affinity, isLimited } = state
    const candidatesOf = ({ signals, isStandby }: Group, index: number): readonly LeaseCandidate[] => {
      const ordered = this.#strategy.order(loadedFirst(signals, isCold), context.request)
      if (!Array.isArray(ordered)) throw strategyFailed(state.strategyName, 'no list of candidates')
      // A host that has the model loaded precedes others of its group, but never a better group.
      const isLastResort = affinity && index > 0 ? true : isStandby
      // In configuration order, the result depends only on the list, so it is cached.
      const isPlain = ordered === signals && isLastResort === isStandby && !isLimited
      const cached = isPlain ? candidateCache.get(signals) : undefined
      if (cached) return cached
      const candidates = ordered
        .map((each) => candidateOf(signalsIn(state, each), isLastResort))
        .filter(({ slots }) => slots > 0)
      if (isPlain) candidateCache.set(signals, candidates)
      return candidates
    }
    const [first = [], ...others] = this.groups().map(candidatesOf)
    return others.length === 0 ? first : [...first, ...others.flat()]
  }
}

/** Cache, keyed by list of candidates. */
const candidateCache = new WeakMap<readonly LiveSignals[], readonly LeaseCandidate[]>()

function candidateOf(signals: LiveSignals, isLastResort: boolean): LeaseCandidate {
  const { id, origin } = signals.target
  // An embedded target is its own host.
  return { id, host: origin || id, isLastResort, slots: exclusiveSlotLimitOf(signals) }
}

/** The strategy picks among the targets with a free slot; only those with a limit are in the store. */
export class SharedAcquisition extends SlotAcquisition {
  readonly #strategy: SharingInstance

  constructor(strategy: SharingInstance, options: SlotAcquisitionOptions) {
    super(options)
    this.#strategy = strategy
  }

  async take(): Promise<Lease | undefined> {
    const { app, state, context } = this.options
    /** Other processes hold their slots. */
    const full = new Set<LiveSignals>()
    for (;;) {
      const [picked, ...others] = this.#picks(full)
      if (!picked) return undefined
      if (slotLimitOf(picked) === undefined) return reserve(state, picked, context, app.health)
      const choices = [picked, ...others]
      // Counted during the call to the store, so that the next request sees it.
      picked.countPicked()
      let stored: StoredLease | undefined
      try {
        stored = await this.requestLease(choices.map(sharedCandidate), false)
      } finally {
        picked.uncountPicked()
      }
      const granted = stored && choices.find(({ target }) => target.id === stored.target.id)
      if (stored && granted) return this.leaseFor(granted, stored)
      for (const each of choices) full.add(each)
    }
  }

  /** The strategy's choice, and alternatives for the store if the choice is full meanwhile. */
  #picks(full: ReadonlySet<LiveSignals>): readonly LiveSignals[] {
    const { state, context } = this.options
    const isOpen = (signals: LiveSignals): boolean =>
      !full.has(signals) && signals.inFlight < (slotLimitOf(signals) ?? Number.POSITIVE_INFINITY)
    for (const { signals } of this.groups()) {
      const open = signals.filter(isOpen)
      // The same list object as long as it has the same members, because strategies cache by list.
      if (open.length === 0) continue
      const soonest = state.loadedFirst.soonest(open.length === signals.length ? signals : open)
      const picked = signalsIn(state, this.#strategy.pick(soonest, context.request))
      return slotLimitOf(picked) === undefined ? [picked] : [picked, ...this.#others(soonest, picked)]
    }
    return []
  }

  /** The next best targets, up to the first that is certain to have a slot. */
  #others(candidates: readonly LiveSignals[], picked: LiveSignals): readonly LiveSignals[] {
    if (candidates.length === 1) return []
    const ranked =
      this.#strategy.rank?.(candidates, this.options.context.request) ?? candidates.toSorted(byLoad)
    const others = ranked.map((each) => signalsIn(this.options.state, each)).filter((each) => each !== picked)
    const unlimited = others.findIndex((each) => slotLimitOf(each) === undefined)
    return unlimited === -1 ? others : others.slice(0, unlimited)
  }
}

function sharedCandidate(signals: LiveSignals): LeaseCandidate {
  const { id, origin } = signals.target
  return { id, host: origin || id, isLastResort: false, slots: slotLimitOf(signals) ?? 0 }
}

/** Those of weight 0 last. */
function byLoad(a: LiveSignals, b: LiveSignals): number {
  const isOut = ({ target, weight }: LiveSignals): number => Number((weight ?? target.weight) <= 0)
  return isOut(a) - isOut(b) || a.inFlight - b.inFlight
}

/**
 * Order for a request's last attempt: the target that answered most recently, then the others that have answered. The
 * request waits while these are taken instead of taking a target that is free only because it fails.
 */
function lastAttemptOrder(groups: readonly Group[], context: PickContext, health: Health): readonly Group[] {
  const proven = context.isLast ? lastAnswered(groups, health) : undefined
  if (!proven) return groups
  const isProven = ({ target, failureRate }: LiveSignals): boolean =>
    failureRate < unreliableRate && Number.isFinite(health.of(target).answeredAt)
  const others = groups.map((group) => ({
    ...group,
    signals: group.signals.filter((each) => each !== proven && isProven(each)),
  }))
  return [{ signals: [proven], isStandby: false }, ...others.filter(({ signals }) => signals.length > 0)]
}
