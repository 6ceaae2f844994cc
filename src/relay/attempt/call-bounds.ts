import type { StopSignal } from '../../lib/stop-signal.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type {
  Transport,
  UpstreamCall,
  UpstreamHeaders,
  UpstreamRequest,
  UpstreamSink,
} from '../../sdk/transport.ts'
import type { AttemptWait, AttemptWatch } from './attempt-watch.ts'
import { type Failure, garbageFailure, leaseLostFailure, none, timeoutFailure } from './upstream-failure.ts'
import { Watchdog } from './watchdog.ts'

/** One call of one target, and what bounds it. */
export interface CallOptions {
  target: Target
  transport: Transport
  request: UpstreamRequest
  /** Bounds the wait for the first content and each silence after it, in milliseconds. */
  timeoutMs: number
  /** Aborted when the client leaves or the whole request takes too long; its reason is a RouterError. */
  signal: StopSignal
  /** Aborted when the target is another request's; before its first content this attempt is given up then. */
  revoked?: AbortSignal | undefined
  /** Called at the first content of the answer. */
  onContent: () => void
  /** Who judges the target by the wait for the first content; it may end the attempt until then. */
  watch: AttemptWatch
  /** Who asks. */
  clientName: string
  /** Whether the first content can be seen when it comes; that of a whole answer cannot. */
  isVisible: boolean
}

/** The call that is bounded. */
export interface BoundedCall extends UpstreamSink {
  /** Whether the client has a part of the answer. */
  readonly committed: boolean
  /** Whether there is so much of it that giving up would cost more than two requests at once do. */
  readonly begun: boolean
  /** Ends the call; nothing where it has ended already. */
  fail(failure: Failure): void
}

/** Ends a call from outside: when its client leaves, its upstream is silent, or its target is another request's. */
export class CallBounds {
  readonly #options: CallOptions
  readonly #call: BoundedCall
  readonly #watchdog: Watchdog
  readonly #onAbort: () => void
  #wait: AttemptWait | undefined

  constructor(options: CallOptions, call: BoundedCall) {
    this.#options = options
    this.#call = call
    this.#watchdog = new Watchdog(options.timeoutMs, () => {
      this.#giveUp(timeoutFailure(call.committed ? 'silence' : 'content'))
    })
    this.#onAbort = () => this.#giveUp(none(options.signal.reason as RouterError)) // the exchange aborts with nothing else
  }

  /** Sends the request, unless there is no more use in it. */
  open(): UpstreamCall | undefined {
    const { signal, revoked, transport, request } = this.#options
    if (signal.aborted) {
      this.#onAbort()
      return undefined
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
    revoked?.addEventListener('abort', () => this.#revokeLease(), { once: true })
    if (!revoked?.aborted) {
      this.#wait = this.#beginWait()
      return transport.open(request, this.#call)
    }
    this.#revokeLease()
    return undefined
  }

  /** The first content of the answer has come. */
  contentSeen(): void {
    this.#wait?.content()
    this.#options.onContent()
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

  /** The call is over. */
  end(): void {
    this.#watchdog.stop()
    this.#wait?.end(false)
    this.#options.signal.removeEventListener('abort', this.#onAbort)
  }

  #beginWait(): AttemptWait {
    const { watch, target, clientName, isVisible, request } = this.#options
    const giveUp = (failure: Failure): void => {
      if (!this.#call.begun) this.#giveUp(failure)
    }
    return watch.begin({ target, client: clientName, isVisible, promptBytes: bytesOf(request), giveUp })
  }

  #giveUp(failure: Failure): void {
    this.#wait?.end(true)
    this.#call.fail(failure)
  }

  #revokeLease(): void {
    if (!this.#call.begun) this.#call.fail(leaseLostFailure())
  }
}

function bytesOf({ body }: UpstreamRequest): number {
  return Buffer.isBuffer(body) ? body.length : body.reduce((sum, { length }) => sum + length, 0)
}

/** Why a good answer cannot be one: a page is what proxies and captive portals answer, never a model. */
export function foreignAnswer(headers: UpstreamHeaders): Failure | undefined {
  const type = String(headers['content-type'] ?? '')
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding === 'identity' && !type.startsWith('text/html')) return undefined
  return garbageFailure({ type, encoding })
}

/** Whether an answer says where it ends, so that one which was cut shows (RFC 9112, section 6.3). */
export function isFramed(headers: UpstreamHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}
