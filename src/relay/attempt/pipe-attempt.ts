import type { RouterError } from '../../sdk/errors.ts'
import type { UpstreamCall, UpstreamHeaders } from '../../sdk/transport.ts'
import type { ClientPipe } from '../answer/client-pipe.ts'
import { type BoundedCall, CallBounds, type CallOptions, foreignAnswer, isSuccess } from './attempt-bounds.ts'
import type { AttemptResult } from './open-attempt.ts'
import { failureOfStatus } from './status-failure.ts'
import { type Failure, failureOfError } from './upstream-failure.ts'

export interface PipeOptions extends CallOptions {
  client: ClientPipe
  /** Called before an answer that broke after its first byte is cut off, so that its record is complete. */
  onBroken: (error: RouterError) => void
}

export type PipeResult = { type: 'piped' } | Extract<AttemptResult, { type: 'failed' }>

/** Of an error answer only the beginning matters. */
const maxErrorBytes = 64 * 1024

/** Sends one request to one target and hands its answer's bytes to the client as they come. Calls back once, never throws. */
export function runPipe(options: PipeOptions, onResult: (result: PipeResult) => void): void {
  new Pipe(options, onResult).start()
}

class Pipe implements BoundedCall {
  readonly #options: PipeOptions
  readonly #onResult: (result: PipeResult) => void
  readonly #bounds: CallBounds
  #call: UpstreamCall | undefined
  #mode: 'waiting' | 'piping' | 'refused' | 'over' = 'waiting'
  #status = 0
  #headers: UpstreamHeaders = {}
  #error: Buffer[] = []
  #errorBytes = 0

  constructor(options: PipeOptions, onResult: (result: PipeResult) => void) {
    this.#options = options
    this.#onResult = onResult
    this.#bounds = new CallBounds(options, this)
  }

  start(): void {
    this.#call = this.#bounds.open()
  }

  get committed(): boolean {
    return this.#options.client.committed
  }

  get begun(): boolean {
    return this.committed
  }

  onHeaders(status: number, headers: UpstreamHeaders): void {
    if (this.#mode === 'over') return
    this.#status = status
    this.#headers = headers
    this.#bounds.touch()
    const succeeded = isSuccess(status)
    const foreign = succeeded ? foreignAnswer(headers) : undefined
    if (foreign) this.fail(foreign)
    else this.#mode = succeeded ? 'piping' : 'refused'
  }

  onData(chunk: Buffer): void {
    this.#bounds.touch()
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
    this.#bounds.pause()
    client.onDrain(() => {
      if (this.#mode !== 'piping') return
      this.#bounds.resume()
      this.#call?.resume()
    })
  }

  onEnd(): void {
    if (this.#mode === 'refused') {
      const text = Buffer.concat(this.#error).toString()
      this.fail(failureOfStatus(this.#status, this.#headers, text, this.#options.target))
    } else if (this.#mode === 'piping') {
      this.#commit()
      this.#options.client.end()
      this.#end()
      this.#onResult({ type: 'piped' })
    }
  }

  onError(error: Error, reusedSocket: boolean): void {
    // An error status counts even when its body was cut.
    if (this.#mode === 'refused') this.onEnd()
    else this.fail(failureOfError(error, this.#mode !== 'waiting', reusedSocket))
  }

  /** Not before the first byte: until then another target may take over. */
  #commit(): void {
    const { client } = this.#options
    if (client.committed) return
    this.#bounds.contentSeen()
    client.commit(this.#status, this.#headers)
  }

  fail(failure: Failure): void {
    if (this.#mode === 'over') return
    const { client, onBroken } = this.#options
    const { committed } = client
    this.#end()
    if (committed) {
      onBroken(failure.error)
      client.breakOff()
    }
    this.#call?.abort()
    this.#onResult({ type: 'failed', ...failure, retry: committed ? 'none' : failure.retry })
  }

  #end(): void {
    this.#mode = 'over'
    this.#bounds.end()
  }
}
