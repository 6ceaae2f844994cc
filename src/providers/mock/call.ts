import type { OpenRequest, UpstreamHeaders, UpstreamSink } from '../../sdk/transport.ts'

export interface MockClock {
  /** Monotonic milliseconds. */
  now(): number
  /** Unix milliseconds. */
  wallMs(): number
  /** Runs `task` once, in a later event loop iteration even for 0; returns a function that cancels it. */
  schedule(task: () => void, delayMs: number): () => void
}

export interface MockChunk {
  text: string
  /** Number of tokens that an engine would have generated before it could send this chunk. */
  tokensBefore: number
}

export interface MockPlan {
  status: number
  headers: UpstreamHeaders
  /** Whether headers are sent immediately, as streaming engines do, or with the first chunk. */
  headersFirst: boolean
  chunks: Iterable<MockChunk>
  tempo: { firstTokenMs: number; msPerToken: number }
}

/** Sends a plan to a sink, beginning in a later event loop iteration. Each chunk is read from the plan when it is due. */
export function startCall(plan: MockPlan, sink: UpstreamSink, clock: MockClock): OpenRequest {
  return new MockCall(plan, sink, clock)
}

export const systemClock: MockClock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  schedule(task, delayMs) {
    if (delayMs <= 0) {
      const immediate = setImmediate(task)
      return () => clearImmediate(immediate)
    }
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}

class MockCall implements OpenRequest {
  readonly #plan: MockPlan
  readonly #sink: UpstreamSink
  readonly #clock: MockClock
  readonly #chunks: Iterator<MockChunk>
  readonly #startedMs: number
  #next: IteratorResult<MockChunk> | undefined
  #headersSent = false
  #paused = false
  #hasEnded = false
  #cancel: (() => void) | undefined

  constructor(plan: MockPlan, sink: UpstreamSink, clock: MockClock) {
    this.#plan = plan
    this.#sink = sink
    this.#clock = clock
    this.#chunks = plan.chunks[Symbol.iterator]()
    this.#startedMs = clock.now()
    this.#continueIn(0)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#hasEnded) this.#continueIn(0)
  }

  abort(): void {
    this.#hasEnded = true
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** Does nothing if a step is already scheduled, for example after `pause` and `resume` within one call of the sink. */
  #continueIn(delayMs: number): void {
    if (this.#cancel) return
    this.#cancel = this.#clock.schedule(() => {
      this.#cancel = undefined
      this.#step()
    }, delayMs)
  }

  /** Sends at most one chunk, because the sink may pause or abort within each of its calls. */
  #step(): void {
    if (this.#plan.headersFirst) this.#sendHeaders()
    if (this.#hasEnded || (this.#paused && this.#headersSent)) return
    this.#next ??= this.#chunks.next()
    if (this.#next.done) {
      this.#hasEnded = true
      this.#sink.onEnd()
      return
    }
    const chunk = this.#next.value
    const { firstTokenMs, msPerToken } = this.#plan.tempo
    const waitMs = this.#startedMs + firstTokenMs + chunk.tokensBefore * msPerToken - this.#clock.now()
    if (waitMs > 0) {
      this.#continueIn(waitMs)
      return
    }
    this.#sendHeaders()
    if (this.#hasEnded || this.#paused) return
    this.#next = undefined
    this.#sink.onData(Buffer.from(chunk.text))
    if (!this.#hasEnded && !this.#paused) this.#continueIn(0)
  }

  #sendHeaders(): void {
    if (this.#headersSent) return
    this.#headersSent = true
    this.#sink.onHeaders(this.#plan.status, this.#plan.headers)
  }
}
