import { type AttemptFailure, movesOn } from '../../relay/attempt/attempt-result.ts'
import type { AttemptWait, AttemptWatch, WatchedAttempt } from '../../relay/attempt/attempt-watch.ts'
import { timeoutFailure } from '../../relay/attempt/upstream-failure.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { CheckedState, Target } from '../../sdk/target.ts'
import type { HungTargets, Waiting } from './hung-targets.ts'

export interface WaitingAttemptsOptions {
  hung: HungTargets
  /** Whether the target currently gets probes only. */
  isProbing(target: Target): boolean
  stateOf(target: Target): CheckedState
  /** Whether another target of its model is usable. */
  hasAlternative(target: Target): boolean
  /** Called at each first content. */
  onContent(target: Target): void
}

/** Check interval while attempts wait, in milliseconds. */
const checkMs = 500
/** Request bytes per prompt token. */
const bytesPerToken = 4

/** Attempts that wait for their first content. Decides which of them move on to another target, and when. */
export class WaitingAttempts implements AttemptWatch {
  readonly #options: WaitingAttemptsOptions
  readonly #byTarget = new Map<Target, Set<Wait>>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: WaitingAttemptsOptions) {
    this.#options = options
  }

  begin(attempt: WatchedAttempt): AttemptWait {
    const { target, client, promptBytes, isVisible } = attempt
    const { hung, isProbing } = this.#options
    const tokens = Math.ceil(promptBytes / bytesPerToken)
    const waiting = hung.begin(target, client, tokens, isVisible)
    const wait = new Wait(this, attempt, waiting)
    let all = this.#byTarget.get(target)
    if (!all) {
      all = new Set()
      this.#byTarget.set(target, all)
    }
    all.add(wait)
    this.#timer ??= setInterval(() => this.#check(), checkMs).unref()
    if (waiting.isProbe || isProbing(target)) this.#bound(wait, hung.probeLimitMs(target, tokens, isVisible))
    return wait
  }

  /** Moves all waiting attempts on, because the server refuses connections. */
  moveOn(target: Target): void {
    for (const { attempt } of [...(this.#byTarget.get(target) ?? [])]) attempt.giveUp(unreachable())
  }

  content(wait: Wait): void {
    const { hung, onContent } = this.#options
    this.#remove(wait)
    hung.contentSeen(wait.waiting)
    onContent(wait.attempt.target)
  }

  end(wait: Wait, givenUp: boolean): void {
    this.#remove(wait)
    this.#options.hung.end(wait.waiting, givenUp)
  }

  /** Call when no more attempts will begin. */
  stop(): void {
    clearInterval(this.#timer)
  }

  /** Limits how long a probe delays its client while another target could answer. */
  #bound(wait: Wait, limitMs: number): void {
    wait.limit = setTimeout(() => {
      if (this.#options.hasAlternative(wait.attempt.target)) wait.attempt.giveUp(timeoutFailure('content'))
      else this.#bound(wait, checkMs)
    }, limitMs)
  }

  #remove(wait: Wait): void {
    clearTimeout(wait.limit)
    const { target } = wait.attempt
    const all = this.#byTarget.get(target)
    all?.delete(wait)
    if (all?.size === 0) this.#byTarget.delete(target)
  }

  #check(): void {
    const { hung, stateOf, hasAlternative } = this.#options
    hung.evaluate()
    if (hung.isIdle) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    if (!hung.hasAny) return
    for (const [target, waits] of this.#byTarget) {
      // The attempts stay while health checks pass, or without an alternative: the target may just be slow.
      if (stateOf(target) !== 'silent' || !hasAlternative(target)) continue
      const overdue = new Set(hung.overdue(target))
      for (const { attempt, waiting } of [...waits])
        if (overdue.has(waiting)) attempt.giveUp(timeoutFailure('content'))
    }
  }
}

class Wait implements AttemptWait {
  readonly attempt: WatchedAttempt
  readonly waiting: Waiting
  limit: NodeJS.Timeout | undefined
  readonly #all: WaitingAttempts
  #isOver = false

  constructor(all: WaitingAttempts, attempt: WatchedAttempt, waiting: Waiting) {
    this.#all = all
    this.attempt = attempt
    this.waiting = waiting
  }

  content(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#all.content(this)
  }

  end(givenUp: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#all.end(this, givenUp)
  }
}

function unreachable(): AttemptFailure {
  const words = 'The upstream refuses connections'
  return movesOn(
    new RouterError('upstream_error', words, { code: 'upstream_unreachable', causeCode: 'SERVER_DOWN' }),
    'nothing',
  )
}
