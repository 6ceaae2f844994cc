import type { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import { type AttemptFailure, final } from './attempt-result.ts'
import type { AttemptContext } from './prepared-attempt.ts'
import { revokedFailure, timeoutFailure } from './upstream-failure.ts'

/** Whole answers are collected up to this where their bytes may go through instead. */
export const maxCollectedBytes = 16 * 1024 * 1024
/** And up to this where they must be read, as large batches of embeddings are. */
export const maxWholeBytes = 32 * 1024 * 1024
/** Of an error answer only the beginning matters. */
export const maxErrorBytes = 64 * 1024
/** Before the first content nothing is sent, unless so much came that it must be let through. */
export const maxHeldBytes = 64 * 1024
/** An attempt from its dispatch on, for judging targets by how long attempts wait. */
export interface WatchedAttempt {
  target: Target
  /** Id of the client's key, or the client's address. */
  client: string
  promptBytes: number
  /** Whether its first content can be seen when it comes; that of a whole answer cannot. */
  isVisible: boolean
  /** Ends it with this failure, unless its first content has come. */
  giveUp(failure: AttemptFailure): void
}

export interface AttemptWait {
  /** Its first content has come. */
  content(): void
  /** It is over. `givenUp`: without an answer, because its client left or it took too long. Later calls do nothing. */
  end(givenUp: boolean): void
}

export interface AttemptWatch {
  begin(attempt: WatchedAttempt): AttemptWait
}

/** The attempt that is bounded. */
export interface BoundedAttempt extends Readonly<Pick<WatchedAttempt, 'promptBytes' | 'isVisible'>> {
  /** Whether the client has a part of the answer. */
  readonly committed: boolean
  /** Whether there is so much of it that giving up would cost more than two requests at once do. */
  readonly begun: boolean
  /** Ends the attempt; nothing where it has ended already. */
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

  /** The first content of the answer has come. */
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

  /** The attempt is over. */
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
 * One timer that bounds an attempt: a deadline until `touch` is first called, the longest silence afterwards. Touching
 * only stores a time, so it costs nothing per chunk; the timer finds out when it fires. Before it expires,
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
