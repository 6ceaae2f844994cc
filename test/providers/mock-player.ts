import type { ChatCompletion, ChatCompletionChunk } from 'openai/resources/chat/completions'
import type { CompletionUsage } from 'openai/resources/completions'
import type { MockClock } from '../../src/providers/mock/call.ts'
import { mockTransport } from '../../src/providers/mock/index.ts'
import type { MockSettings } from '../../src/sdk/target.ts'
import type { OpenRequest, UpstreamHeaders, UpstreamSink } from '../../src/sdk/transport.ts'

/**
 * A clock that advances only when `advance` is called; tasks run in order of time, those of the same time in order of creation.
 */
export class ManualClock implements MockClock {
  #nowMs = 1000
  #tasks: { dueMs: number; task: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return 1_795_392_000_000 + this.#nowMs
  }

  schedule(task: () => void, delayMs: number): () => void {
    const entry = { dueMs: this.#nowMs + delayMs, task }
    this.#tasks.push(entry)
    return () => {
      this.#tasks = this.#tasks.filter((other) => other !== entry)
    }
  }

  get pending(): number {
    return this.#tasks.length
  }

  /** Runs everything due within `ms`, including tasks that become due meanwhile. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = this.#tasks.filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0]
      if (!next) break
      this.#tasks = this.#tasks.filter((other) => other !== next)
      this.#nowMs = next.dueMs
      next.task()
    }
    this.#nowMs = untilMs
  }
}

/** Everything a sink received, in order. The test's `onData` may act on the request while it runs. */
export class Recorder implements UpstreamSink {
  status = 0
  headers: UpstreamHeaders = {}
  chunks: string[] = []
  ended = false
  afterChunk: (() => void) | undefined

  onHeaders(status: number, headers: UpstreamHeaders): void {
    this.status = status
    this.headers = headers
  }

  onData(chunk: Buffer): void {
    this.chunks.push(chunk.toString('utf8'))
    this.afterChunk?.()
  }

  onEnd(): void {
    this.ended = true
  }

  onError(error: Error): void {
    throw error
  }

  get text(): string {
    return this.chunks.join('')
  }
}

export interface Played {
  call: OpenRequest
  clock: ManualClock
  recorder: Recorder
}

/** Starts a request to a mock target named `mock-model`; nothing happens before the clock is advanced. */
export function open(body: unknown, settings: MockSettings = {}, random: () => number = () => 0.5): Played {
  const clock = new ManualClock()
  const recorder = new Recorder()
  const transport = mockTransport({ upstreamModel: 'mock-model', mock: settings }, { clock, random })
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const request = {
    origin: '',
    path: '/v1/chat/completions',
    method: 'POST',
    headers: {},
    body: bytes,
  } as const
  return { call: transport.open(request, recorder), clock, recorder }
}

/** Plays a request to its end, at any pace. */
export function play(body: unknown, settings: MockSettings = {}, random?: () => number): Recorder {
  const { clock, recorder } = open(body, settings, random)
  clock.advance(1e9)
  return recorder
}

type Reasoning = { reasoning_content?: string }
type Answer = Omit<ChatCompletion, 'choices'> & {
  choices: (ChatCompletion.Choice & { message: Reasoning })[]
  usage: CompletionUsage
}
type Event = Omit<ChatCompletionChunk, 'choices'> & {
  choices: (ChatCompletionChunk.Choice & { delta: Reasoning })[]
}

/** The response of a request, as the official client types it. */
export function answerOf(body: object, settings: MockSettings = {}): Answer {
  return JSON.parse(play(body, settings).text)
}

/** The first choice's message of a whole response. */
export function messageOf(body: object, settings: MockSettings = {}): Answer['choices'][number]['message'] {
  const message = answerOf(body, settings).choices[0]?.message
  if (!message) throw new Error('an answer without choices')
  return message
}

/** The events of a streamed response, without the final `[DONE]`. */
export function eventsOf(body: object, settings: MockSettings = {}): Event[] {
  const events = play({ ...body, stream: true }, settings).text.split('\n\n')
  return events.filter((event) => event.startsWith('data: {')).map((event) => JSON.parse(event.slice(6)))
}
