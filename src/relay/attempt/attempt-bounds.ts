import type { RouterError } from '../../sdk/errors.ts'
import { type AttemptFailure, final } from './attempt-result.ts'
import type { AttemptWait, WatchedAttempt } from './attempt-watch.ts'
import type { AttemptContext } from './prepared-attempt.ts'
import { revokedFailure, timeoutFailure } from './upstream-failure.ts'

/** Maximum size of a buffered response whose bytes may be passed through instead. */
export const maxCollectedBytes = 16 * 1024 * 1024
/** Maximum size of a buffered response that must be parsed, such as a large batch of embeddings. */
export const maxWholeBytes = 32 * 1024 * 1024
/** Maximum size of an error response; only its beginning matters. */
export const maxErrorBytes = 64 * 1024
/** Bytes held back before the first content; beyond this they are sent. */
export const maxHeldBytes = 64 * 1024

/** The limited attempt. */
export interface BoundedAttempt extends Readonly<Pick<WatchedAttempt, 'promptBytes' | 'isVisible'>> {
  /** Whether the client has received a part of the response. */
  readonly committed: boolean
  /** Whether so much has been received that aborting costs more than running two requests at once. */
  readonly begun: boolean
  /** Ends the attempt; no effect if it has ended already. */
  fail(failure: AttemptFailure): void
}

/** Ends an attempt when its client leaves, its upstream is silent, or its lease is revoked. */
export class AttemptBounds {
  readonly #context: AttemptContext
  readonly #attempt: BoundedAttempt
  readonly #watchdog: Watchdog
  /** Aborted when the client leaves or the whole request takes too long; its reason is a RouterError. */
  readonly #signal: AbortSignal
  readonly #onAbort: () => void
  #wait: AttemptWait | undefined

  constructor(context: AttemptContext, attempt: BoundedAttempt) {
    const { timeoutMs, exchange, signal = exchange.signal } = context.services
    this.#context = context
    this.#attempt = attempt
    this.#signal = signal
    this.#watchdog = new Watchdog(timeoutMs, () => {
      this.#giveUp(timeoutFailure(attempt.committed ? 'silence' : 'content'))
    })
    this.#onAbort = () => this.#giveUp(final(signal.reason as RouterError)) // the exchange aborts with nothing else
  }

  /** False: the attempt has failed, because the client has left or the lease is revoked. */
  begin(): boolean {
    const { revoked } = this.#context
    if (this.#signal.aborted) {
      this.#onAbort()
      return false
    }
    this.#signal.addEventListener('abort', this.#onAbort, { once: true })
    revoked?.addEventListener('abort', () => this.#revoke(), { once: true })
    if (revoked?.aborted) {
      this.#revoke()
      return false
    }
    this.#wait = this.#beginWait()
    return true
  }

  /** The first content of the response has arrived. */
  contentSeen(): void {
    this.#wait?.content()
  }

  /** The upstream has sent something. */
  touch(): void {
    this.#watchdog.touch()
  }

  pause(): void {
    this.#watchdog.pause()
  }

  resume(): void {
    this.#watchdog.resume()
  }

  /** The attempt has ended. */
  end(): void {
    this.#watchdog.stop()
    this.#wait?.end(false)
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  #beginWait(): AttemptWait {
    const { target, services } = this.#context
    const { isVisible, promptBytes } = this.#attempt
    const giveUp = (failure: AttemptFailure): void => {
      if (!this.#attempt.begun) this.#giveUp(failure)
    }
    return services.watch.begin({ target, client: services.clientName(), isVisible, promptBytes, giveUp })
  }

  #giveUp(failure: AttemptFailure): void {
    this.#wait?.end(true)
    this.#attempt.fail(failure)
  }

  #revoke(): void {
    if (!this.#attempt.begun) this.#attempt.fail(revokedFailure())
  }
}

/**
 * One timer per attempt: a deadline until the first call of `touch`, an idle timeout afterwards. Touching
 * only stores a time, so it costs nothing per chunk; the timer evaluates it when it fires. Before it expires,
 * it lets the event loop read what has already arrived: a delay of this process must not count against the upstream.
 */
export class Watchdog {
  readonly #limitMs: number
  readonly #onExpire: () => void
  #timer: NodeJS.Timeout | undefined
  #lastLook: NodeJS.Immediate | undefined
  #since: number

  constructor(limitMs: number, onExpire: () => void) {
    this.#limitMs = limitMs
    this.#onExpire = onExpire
    this.#since = performance.now()
    this.#arm(limitMs)
  }

  touch(): void {
    this.#since = performance.now()
  }

  /** While the client is slow, silence is not the upstream's error. */
  pause(): void {
    this.stop()
  }

  resume(): void {
    this.touch()
    if (this.#timer === undefined && this.#lastLook === undefined) this.#arm(this.#limitMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#lastLook)
    this.#timer = undefined
    this.#lastLook = undefined
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#rearmed()) return
      // Two rounds: the sockets are read between them.
      this.#lastLook = setImmediate(() => {
        this.#lastLook = setImmediate(() => {
          this.#lastLook = undefined
          if (!this.#rearmed()) this.#onExpire()
        })
      })
    }, ms)
  }

  #rearmed(): boolean {
    const left = this.#since + this.#limitMs - performance.now()
    if (left > 1) this.#arm(left)
    return left > 1
  }
}
