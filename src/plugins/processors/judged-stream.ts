import { GuardedStream } from '../../processors/answers/guarded-stream.ts'
import type { PassageVerdict } from '../../processors/answers/windows.ts'
import type { ClientStream } from '../../relay/answer/client-stream.ts'
import type { StreamContents } from '../../sdk/content.ts'
import { asRouterError, type RouterError } from '../../sdk/errors.ts'
import { framingOf } from './answer-form.ts'
import type { AnswerGuard } from './answer-guard.ts'

type Stop = (error?: RouterError) => boolean

export interface JudgedStreamOptions {
  readonly guard: Pick<AnswerGuard, 'judge'>
  readonly contents: StreamContents
  readonly mediaType: string
  readonly isStructured: boolean
  /** A text is replaced. */
  replaced(raw: string, shown: string): void
  /** Offsets of so many citations were removed. */
  removedOffsets(citations: number): void
  /** The in-band error of the client's dialect. */
  writeError(error: RouterError): string
  /** `finished` is fulfilled when nothing more will be sent, and rejects with the client's error if nothing has been sent. */
  onCommit(finished: Promise<void>): void
  /** Whether texts of the response may still be blocked. */
  judging(isRunning: boolean): void
  /** The response was blocked. `last`: the last event of its stream. `cutBytes`: bytes received, if the upstream had more. */
  blocked(end: { last: Record<string, unknown> | undefined; cutBytes: number | undefined }): void
  /** A partially sent response fails after its upstream has ended it. */
  failed(error: RouterError): void
  /** Why the response ends, for its reader. */
  reasonOf(by: string): string
}

/**
 * The client's side of a stream of which nothing is sent before it was judged. The upstream is paused while a verdict is pending.
 */
export class JudgedStream implements ClientStream {
  readonly #inner: ClientStream
  readonly #options: JudgedStreamOptions
  readonly #stream: GuardedStream
  readonly #decoder = new TextDecoder()
  readonly #finished = Promise.withResolvers<void>()
  /** `open`: bytes are forwarded without being read. */
  #state: 'judging' | 'open' | 'over' = 'judging'
  #isJudging = false
  #isBlocked = false
  #hasEnded = false
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #stop: Stop | undefined
  #resume: (() => void) | undefined

  constructor(inner: ClientStream, options: JudgedStreamOptions) {
    this.#inner = inner
    this.#options = options
    this.#stream = new GuardedStream({
      contents: options.contents,
      framing: framingOf(options.mediaType),
      isStructured: options.isStructured,
      replaced: options.replaced,
      removedOffsets: options.removedOffsets,
      now: () => performance.now(),
    })
    this.#finished.promise.catch(() => undefined) // whoever waits for it gets the error
  }

  get committed(): boolean {
    return this.#inner.committed
  }

  /** A response begins; its head is sent with its first events. */
  commit(): void {
    this.#options.onCommit(this.#finished.promise)
    this.#options.judging(true)
  }

  write(bytes: Buffer | string): boolean {
    if (this.#state === 'open') return this.#inner.write(bytes)
    if (this.#state === 'over') return true
    this.#bytes += bytes.length
    this.#failOnError(() =>
      this.#stream.push(typeof bytes === 'string' ? bytes : this.#decoder.decode(bytes, { stream: true })),
    )
    this.#advance()
    return !this.#isJudging && !this.#isBlocked
  }

  onDrain(resume: () => void): void {
    if (this.#isJudging) this.#resume = resume
    else if (this.#isBlocked) this.#inner.onDrain(resume)
    else resume()
  }

  end(): void {
    if (this.#state === 'open') {
      this.#inner.end()
      this.#close()
      return
    }
    if (this.#state === 'over') return
    this.#hasEnded = true
    this.#failOnError(() => {
      this.#stream.push(this.#decoder.decode())
      this.#stream.end()
    })
    this.#advance()
  }

  reset(): void {
    this.#close()
    this.#inner.reset()
  }

  onStop(stop: Stop): void {
    this.#stop = stop
    // After the consumer has stopped, there is nothing to do unless an error follows.
    this.#inner.onStop?.((error) => {
      const isRunning = stop(error)
      if (!error || !isRunning) this.#close()
      return isRunning
    })
  }

  discard(): void {
    if (this.#state === 'over') return
    this.#state = 'open'
    clearTimeout(this.#timer)
    this.#inner.discard?.()
    // An error follows if the client has received a part; otherwise nothing does.
    if (!this.committed) this.#close()
  }

  /** Judges complete windows, and sends what was approved. */
  #advance(): void {
    if (this.#state !== 'judging' || this.#isJudging) return
    this.#failOnError(() => {
      const jobs = this.#stream.ready()
      this.#send()
      if (jobs.length > 0) this.#judge(jobs)
      else if (this.#stream.isDone) this.#endInner()
      else this.#arm()
    })
  }

  #judge(passages: readonly { text: string; before: string }[]): void {
    this.#isJudging = true
    clearTimeout(this.#timer)
    const judging = this.#options.guard.judge(passages.map(({ text, before }) => ({ text, before })))
    void judging.then(
      (verdict) => this.#judged(verdict),
      (error: unknown) => this.#fail(asRouterError(error)),
    )
  }

  #judged(verdict: PassageVerdict): void {
    this.#isJudging = false
    if (this.#state !== 'judging') return
    if (verdict.type === 'block') {
      this.#block(verdict.by)
      return
    }
    this.#failOnError(() => this.#stream.settle(verdict.texts))
    this.#advance()
    if (this.#isJudging) return
    const resume = this.#resume
    this.#resume = undefined
    if (!resume) return
    if (this.#isBlocked) this.#inner.onDrain(resume)
    else resume()
  }

  #send(): void {
    const text = this.#stream.take()
    if (this.#stream.isDone) this.#options.judging(false)
    if (text !== '') this.#write(text)
  }

  #write(text: string): void {
    if (!this.#inner.committed) this.#inner.commit()
    if (this.#inner.write(text) || this.#isBlocked) return
    this.#isBlocked = true
    this.#inner.onDrain(() => {
      this.#isBlocked = false
    })
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const { dueAt } = this.#stream
    if (dueAt === undefined) return
    this.#timer = setTimeout(() => this.#advance(), Math.max(1, dueAt - performance.now() + 1))
  }

  #block(by: string): void {
    const { reasonOf, blocked } = this.#options
    const { text, last } = this.#stream.endFiltered(reasonOf(by))
    this.#close()
    // The record must be complete before the response closes.
    const isCut = this.#stop?.() === true
    blocked({ last, cutBytes: isCut ? this.#bytes : undefined })
    this.#write(text)
    this.#inner.end()
  }

  #endInner(): void {
    if (!this.#inner.committed) this.#inner.commit()
    this.#close()
    this.#inner.end()
  }

  /** A response that cannot be judged must not be sent. */
  #fail(error: RouterError): void {
    this.#isJudging = false
    if (this.#state !== 'judging') return
    if (!this.#hasEnded && this.#stop?.(error)) {
      this.#detach()
      return
    }
    const { failed, writeError } = this.#options
    if (!this.#inner.committed) {
      this.#close(error)
      return
    }
    failed(error)
    this.#close()
    this.#inner.discard?.()
    this.#write(writeError(error))
    this.#inner.end()
  }

  /** If others need the response too, the upstream continues and they get the rest. */
  #detach(): void {
    if (this.#state === 'judging') this.#close()
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  #failOnError(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#fail(asRouterError(error))
    }
  }

  #close(error?: RouterError): void {
    this.#state = 'over'
    clearTimeout(this.#timer)
    this.#options.judging(false)
    if (error) this.#finished.reject(error)
    else this.#finished.resolve()
  }
}
