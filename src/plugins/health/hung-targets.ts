import type { Target } from '../../sdk/target.ts'
import { FirstContents } from './first-contents.ts'

export interface HungOptions {
  /** Monotonic milliseconds. */
  now(): number
  /** Whether the target's model has other targets. A model's only target is never considered hung. */
  hasOthers(target: Target): boolean
}

/** An attempt that waits for its first content. */
export interface Waiting {
  readonly watched: Watched
  readonly client: string
  readonly promptTokens: number
  readonly begunAt: number
  /** Estimated lazily, once the attempt has waited for a while. */
  prefillMs: number | undefined
  /** Whether this attempt probes a target that was considered hung. */
  readonly isProbe: boolean
}

interface Watched {
  readonly target: Target
  /** Oldest first. */
  readonly waiting: Set<Waiting>
  /** Attempts that were abandoned after waiting too long. */
  abandoned: { client: string; at: number }[]
  lastContentAt: number
  /** `trial`: was hung; one probe at a time is let through. */
  state: 'responsive' | 'hung' | 'trial'
  /** Earliest end of the hung state, after a probe got no response. */
  hungUntil: number
  probe: Waiting | undefined
}

/** A wait for the first content is too long above this multiple of the model's median. */
const medianFactor = 10
const minWaitMs = 2_000
/** Period of the median, and how long abandoned attempts count. */
const memoryMs = 60_000
const attemptsToSuspect = 2
const clientsToSuspect = 2
/** Time limit of a probe, as a multiple of the usual time. */
const probeFactor = 5
const maxProbeMs = 10_000

/**
 * Detects targets that accept requests but do not begin responses, such as an engine that hangs behind a server whose
 * health checks pass. A target is hung while its two longest-waiting attempts have waited more than ten times the
 * model's median time to first content, and more than two seconds, beyond the time to prefill their prompts. Abandoned
 * attempts count for one minute if they and the waiting ones come from at least two clients. The first content of any
 * attempt ends the state. Then one probe at a time passes until one of them gets a response.
 */
export class HungTargets {
  readonly #options: HungOptions
  readonly #watched = new Map<Target, Watched>()
  readonly #models = new Map<string, { seen: FirstContents; whole: FirstContents }>()
  #hungCount = 0

  constructor(options: HungOptions) {
    this.#options = options
  }

  /** Whether any target is hung or on trial. */
  get hasAny(): boolean {
    return this.#hungCount > 0
  }

  /** Whether no target needs to be checked periodically. */
  get isIdle(): boolean {
    return this.#watched.size === 0
  }

  /** `isVisible`: whether the first content is observable. Other attempts serve only as probes. */
  begin(target: Target, client: string, promptTokens: number, isVisible = true): Waiting {
    const watched = this.#watchedOf(target)
    const waiting: Waiting = {
      watched,
      client,
      promptTokens,
      begunAt: this.#options.now(),
      prefillMs: undefined,
      isProbe: watched.state === 'trial' && watched.probe === undefined,
    }
    if (waiting.isProbe) watched.probe = waiting
    if (isVisible) watched.waiting.add(waiting)
    return waiting
  }

  contentSeen(waiting: Waiting): void {
    const { watched, begunAt, promptTokens } = waiting
    const now = this.#options.now()
    const wasVisible = watched.waiting.delete(waiting)
    watched.lastContentAt = now
    watched.abandoned = []
    watched.hungUntil = Number.NEGATIVE_INFINITY
    const ms = now - begunAt
    const { seen, whole } = this.#timesOf(watched.target.model)
    if (wasVisible) seen.add({ at: now, ms, tokens: promptTokens })
    else whole.add({ at: now, ms, tokens: promptTokens })
    if (watched.probe === waiting) {
      watched.probe = undefined
      this.#become(watched, 'responsive')
    } else if (watched.state === 'hung') this.#become(watched, 'trial')
  }

  /**
   * Ends an attempt without first content. `givenUp`: it did not fail, but its client disconnected or the wait was too
   * long.
   */
  end(waiting: Waiting, isAbandoned: boolean): void {
    const { watched, client } = waiting
    const isOver = isAbandoned && this.#isOver(waiting)
    if (watched.waiting.delete(waiting) && isOver)
      watched.abandoned = [...watched.abandoned, { client, at: this.#options.now() }].slice(-8)
    if (watched.probe !== waiting) return
    watched.probe = undefined
    if (!isAbandoned || this.#waitedMs(waiting) <= minWaitMs) return
    watched.hungUntil = this.#options.now() + memoryMs
    this.#become(watched, 'hung')
  }

  /** Maximum wait of a probe while another target is usable, in milliseconds. */
  probeLimitMs({ model }: Target, promptTokens: number, isVisible: boolean): number {
    const { seen, whole } = this.#timesOf(model)
    const need = isVisible ? seen.median() : whole.longest()
    const few = Math.max(minWaitMs, probeFactor * (need ?? Number.POSITIVE_INFINITY))
    return seen.prefillMs(promptTokens) + Math.min(few, (need ?? 0) + maxProbeMs)
  }

  /** Re-evaluates all targets; call periodically. */
  evaluate(): void {
    const now = this.#options.now()
    for (const [target, watched] of this.#watched) {
      watched.abandoned = watched.abandoned.filter(({ at }) => at > now - memoryMs)
      if (this.#isSuspect(watched)) this.#become(watched, 'hung')
      else if (watched.state === 'hung' && now >= watched.hungUntil) this.#become(watched, 'trial')
      const isIdle = watched.waiting.size === 0 && watched.abandoned.length === 0
      if (isIdle && watched.state === 'responsive') this.#watched.delete(target)
    }
  }

  /** Whether the target is skipped while there are others: it is hung, or its probe is running. */
  isHung(target: Target): boolean {
    if (this.#hungCount === 0) return false
    const watched = this.#watched.get(target)
    return watched?.state === 'hung' || watched?.probe !== undefined
  }

  /** Attempts at a hung target that have waited too long. */
  overdue(target: Target): readonly Waiting[] {
    const watched = this.#watched.get(target)
    if (watched?.state !== 'hung') return []
    return [...watched.waiting].filter((waiting) => this.#isOver(waiting))
  }

  /** Drops the state of removed targets; their attempts continue. */
  retain(targets: ReadonlySet<Target>): void {
    const models = new Set(Array.from(targets, ({ model }) => model))
    for (const model of this.#models.keys()) if (!models.has(model)) this.#models.delete(model)
    for (const [target, watched] of this.#watched) {
      if (targets.has(target)) continue
      this.#become(watched, 'responsive')
      this.#watched.delete(target)
    }
  }

  #isSuspect(watched: Watched): boolean {
    if (!this.#options.hasOthers(watched.target)) return false
    const over: Waiting[] = []
    for (const waiting of watched.waiting) {
      // A longer-waiting attempt that may still be in prefill delays those behind it.
      if (!this.#isOver(waiting)) break
      over.push(waiting)
      if (over.length === attemptsToSuspect) return true
    }
    const all = [...over, ...watched.abandoned]
    const clients = new Set(all.map(({ client }) => client))
    return all.length >= attemptsToSuspect && clients.size >= clientsToSuspect
  }

  #isOver(waiting: Waiting): boolean {
    if (this.#silenceMs(waiting) <= minWaitMs) return false
    const { model } = waiting.watched.target
    const median = this.#timesOf(model).seen.median(this.#options.now() - memoryMs)
    if (median === undefined) return false
    return this.#waitedMs(waiting) > Math.max(minWaitMs, medianFactor * median)
  }

  /** Wait beyond the prefill time, counted from the target's last first content if that is later. */
  #waitedMs(waiting: Waiting): number {
    const { seen } = this.#timesOf(waiting.watched.target.model)
    waiting.prefillMs ??= seen.prefillMs(waiting.promptTokens)
    return this.#silenceMs(waiting) - waiting.prefillMs
  }

  #silenceMs({ watched, begunAt }: Waiting): number {
    return this.#options.now() - Math.max(begunAt, watched.lastContentAt)
  }

  #become(watched: Watched, state: Watched['state']): void {
    if (watched.state === state) return
    if (watched.state === 'responsive') this.#hungCount++
    else if (state === 'responsive') this.#hungCount--
    watched.state = state
    if (state === 'responsive') watched.probe = undefined
  }

  #watchedOf(target: Target): Watched {
    const known = this.#watched.get(target)
    if (known) return known
    const watched: Watched = {
      target,
      waiting: new Set<Waiting>(),
      abandoned: [],
      state: 'responsive',
      probe: undefined,
      lastContentAt: Number.NEGATIVE_INFINITY,
      hungUntil: Number.NEGATIVE_INFINITY,
    }
    this.#watched.set(target, watched)
    return watched
  }

  #timesOf(model: string): { seen: FirstContents; whole: FirstContents } {
    const known = this.#models.get(model)
    if (known) return known
    const times = { seen: new FirstContents(), whole: new FirstContents() }
    this.#models.set(model, times)
    return times
  }
}
