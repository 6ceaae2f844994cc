import type { RouterError } from '../core/errors.ts'
import type { Target } from '../core/target.ts'
import type {
  Transport,
  UpstreamCall,
  UpstreamHeaders,
  UpstreamRequest,
  UpstreamSink,
} from '../core/transport.ts'
import type { AttemptResult } from './attempt.ts'
import type { ClientPipe } from './client-pipe.ts'
import { failureOfStatus } from './status-failure.ts'
import { type Failure, failureOfError, garbageFailure, none, timeoutFailure } from './upstream-failure.ts'
import { Watchdog } from './watchdog.ts'

export interface PipeOptions {
  target: Target
  transport: Transport
  request: UpstreamRequest
  client: ClientPipe
  /** Bounds the wait for the first byte and each silence after it, in milliseconds. */
  timeoutMs: number
  /** Aborted when the client leaves or the whole request takes too long; its reason is a RouterError. */
  signal: AbortSignal
  /** Called at the first byte of the answer. */
  onContent: () => void
  /** Called before an answer that broke after its first byte is cut off, so that its record is complete. */
  onBroken: (error: RouterError) => void
}

export type PipeResult = { type: 'piped' } | Extract<AttemptResult, { type: 'failed' }>

/** Of an error answer only the beginning matters. */
const maxErrorBytes = 64 * 1024

/** Sends one request to one target and hands its answer's bytes to the client as they come. Never throws. */
export function runPipe(options: PipeOptions): Promise<PipeResult> {
  return new Promise((resolve) => {
    new Pipe(options, resolve).start()
  })
}

class Pipe implements UpstreamSink {
  readonly #options: PipeOptions
  readonly #resolve: (result: PipeResult) => void
  readonly #watchdog: Watchdog
  readonly #onAbort: () => void
  #call: UpstreamCall | undefined
  #mode: 'waiting' | 'piping' | 'refused' | 'over' = 'waiting'
  #status = 0
  #headers: UpstreamHeaders = {}
  #error: Buffer[] = []
  #errorBytes = 0

  constructor(options: PipeOptions, resolve: (result: PipeResult) => void) {
    this.#options = options
    this.#resolve = resolve
    this.#watchdog = new Watchdog(options.timeoutMs, () => {
      this.#fail(timeoutFailure(options.client.committed ? 'silence' : 'content'))
    })
    this.#onAbort = () => this.#fail(none(options.signal.reason as RouterError)) // the exchange aborts with nothing else
  }

  start(): void {
    const { signal, transport, request } = this.#options
    if (signal.aborted) {
      this.#onAbort()
      return
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#call = transport.open(request, this)
  }

  onHeaders(status: number, headers: UpstreamHeaders): void {
    if (this.#mode === 'over') return
    this.#status = status
    this.#headers = headers
    this.#watchdog.touch()
    const succeeded = status >= 200 && status < 300
    const type = String(headers['content-type'] ?? '')
    const encoding = headers['content-encoding'] ?? 'identity'
    // A page is what proxies and captive portals answer, never a model.
    if (succeeded && (type.startsWith('text/html') || encoding !== 'identity')) {
      this.#fail(garbageFailure({ type, encoding }))
    } else {
      this.#mode = succeeded ? 'piping' : 'refused'
    }
  }

  onData(chunk: Buffer): void {
    this.#watchdog.touch()
    if (this.#mode === 'refused') {
      this.#errorBytes += chunk.length
      if (this.#errorBytes <= maxErrorBytes) this.#error.push(chunk)
      else this.onEnd()
      return
    }
    if (this.#mode !== 'piping') return
    const { client } = this.#options
    this.#commit()
    if (client.write(chunk)) return
    this.#call?.pause()
    this.#watchdog.pause()
    client.onDrain(() => {
      if (this.#mode !== 'piping') return
      this.#watchdog.resume()
      this.#call?.resume()
    })
  }

  onEnd(): void {
    if (this.#mode === 'refused') {
      const text = Buffer.concat(this.#error).toString()
      this.#fail(failureOfStatus(this.#status, this.#headers, text, this.#options.target))
    } else if (this.#mode === 'piping') {
      this.#commit()
      this.#options.client.end()
      this.#finish({ type: 'piped' })
    }
  }

  onError(error: Error, reusedSocket: boolean): void {
    // An error status counts even when its body was cut.
    if (this.#mode === 'refused') this.onEnd()
    else this.#fail(failureOfError(error, this.#mode !== 'waiting', reusedSocket))
  }

  /** Not before the first byte: until then another target may take over. */
  #commit(): void {
    const { client, onContent } = this.#options
    if (client.committed) return
    onContent()
    client.commit(this.#status, this.#headers)
  }

  #fail(failure: Failure): void {
    if (this.#mode === 'over') return
    const { client, onBroken } = this.#options
    const { committed } = client
    this.#finish({ type: 'failed', ...failure, retry: committed ? 'none' : failure.retry })
    if (committed) {
      onBroken(failure.error)
      client.breakOff()
    }
    this.#call?.abort()
  }

  #finish(result: PipeResult): void {
    if (this.#mode === 'over') return
    this.#mode = 'over'
    this.#watchdog.stop()
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    this.#resolve(result)
  }
}
