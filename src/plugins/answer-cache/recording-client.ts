import { holdsMoreThanChat, isCacheable } from '../../processors/cache/cached-answer.ts'
import type { ChatClient, ClientStream } from '../../relay/answer/client-stream.ts'
import type { ChatResponse, Usage } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { AnswerCollector } from './answer-collector.ts'
import type { Flight } from './flight.ts'

export interface Recording {
  readonly dialect: Dialect
  readonly maxBytes: number
  readonly tools: boolean
  /** Undefined: the request leads no followers. */
  readonly flight: Flight | undefined
  /** Whether the client of the request has disconnected. */
  isGone(): boolean
  /** Whether the response that begins may be stored. */
  mayKeep(): boolean
  /** Called once with a response that may be stored, before its end is sent. */
  keep(answer: { whole?: string; chat?: ChatResponse; usage?: Usage }): void
}

/** A client that records the response on its way, in the client's dialect, and stores it. */
export function recordingClient(client: ChatClient, recording: Recording): ChatClient {
  return {
    stream: () => new RecordingStream(client.stream(), recording),
    large() {
      recording.flight?.settle(undefined)
      return client.large()
    },
    writeError: (error) => client.writeError(error),
    whole(body) {
      keepWhole(body, recording)
      if (!recording.isGone()) client.whole(body)
    },
  }
}

function keepWhole(body: Buffer | string, { dialect, maxBytes, tools, keep }: Recording): void {
  if (body.length > maxBytes) return
  const whole = body.toString()
  try {
    const read: unknown = JSON.parse(whole)
    const chat = dialect.chat.readResponse(read)
    if (!isCacheable(chat, { tools })) return
    const usage = chat.usage ? { usage: chat.usage } : {}
    // A response of the Responses API repeats its id in its parts and is stored under it, so a hit is written with a new one.
    const isResponse = dialect.name === 'responses'
    if (isResponse && holdsMoreThanChat(read)) return
    keep({ ...(isResponse ? { chat } : { whole }), ...usage })
  } catch {
    // An unreadable response is sent unchanged and not stored.
  }
}

class RecordingStream implements ClientStream {
  #hasBegun = false
  readonly #stream: ClientStream
  readonly #recording: Recording
  readonly #collector: AnswerCollector

  constructor(stream: ClientStream, recording: Recording) {
    this.#stream = stream
    this.#recording = recording
    this.#collector = new AnswerCollector(recording.dialect, recording.maxBytes)
  }

  get committed(): boolean {
    return this.#recording.isGone() ? this.#hasBegun : this.#stream.committed
  }

  commit(): void {
    this.#hasBegun = true
    if (!this.#recording.mayKeep()) this.#collector.giveUp()
    if (!this.#recording.isGone()) this.#stream.commit()
  }

  write(bytes: Buffer | string): boolean {
    const { flight, isGone } = this.#recording
    this.#collector.push(bytes)
    // Followers must not wait for a response that will not be stored.
    if (this.#collector.hasGivenUp) flight?.settle(undefined)
    const flows = isGone() || this.#stream.write(bytes)
    return flows || flight?.hasFollowers === true
  }

  onDrain(resume: () => void): void {
    let isResumed = false
    const once = (): void => {
      if (!isResumed) resume()
      isResumed = true
    }
    this.#stream.onDrain(once)
    this.#recording.flight?.onFree(once)
  }

  end(): void {
    const { tools, keep, isGone } = this.#recording
    const chat = this.#collector.end()
    if (chat && isCacheable(chat, { tools })) keep({ chat, ...(chat.usage ? { usage: chat.usage } : {}) })
    if (!isGone()) this.#stream.end()
  }

  /** After its client has disconnected, the leader's own failure must not stop the attempt for the followers. */
  onStop(stop: (error?: RouterError) => boolean): void {
    this.#stream.onStop?.((error) => this.#recording.isGone() || stop(error))
  }

  discard(): void {
    this.#collector.giveUp()
    this.#stream.discard?.()
  }

  reset(): void {
    this.#collector.giveUp()
    if (!this.#recording.isGone()) this.#stream.reset()
  }
}
