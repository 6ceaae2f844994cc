import { holdsMoreThanChat, mayBeKept } from '../../processors/cache/kept-answer.ts'
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
  /** Undefined: nobody can follow. */
  readonly flight: Flight | undefined
  /** Whether the client of the request has left. */
  isGone(): boolean
  /** Whether the answer that begins is one that may be kept. */
  mayKeep(): boolean
  /** Called once, before the end of an answer that may be given again goes out. */
  keep(answer: { whole?: string; chat?: ChatResponse; usage?: Usage }): void
}

/** The client's end of an answer, with a look at what goes there: the answer in the client's dialect, as it is kept. */
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
    if (!mayBeKept(chat, { tools })) return
    const usage = chat.usage ? { usage: chat.usage } : {}
    // A response has its id in each of its parts, and is stored under it: it is written anew.
    const isResponse = dialect.name === 'responses'
    if (isResponse && holdsMoreThanChat(read)) return
    keep({ ...(isResponse ? { chat } : { whole }), ...usage })
  } catch {
    // What cannot be read is not kept; the client gets it as it is.
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
    // Nobody is to wait for what will not be kept.
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
    if (chat && mayBeKept(chat, { tools })) keep({ chat, ...(chat.usage ? { usage: chat.usage } : {}) })
    if (!isGone()) this.#stream.end()
  }

  /** What becomes of the answer for a client that has left is nothing to those who wait for it. */
  onStop(stop: (error?: RouterError) => boolean): void {
    this.#stream.onStop?.((error) => this.#recording.isGone() || stop(error))
  }

  discard(): void {
    this.#collector.giveUp()
    this.#stream.discard?.()
  }

  breakOff(): void {
    this.#collector.giveUp()
    if (!this.#recording.isGone()) this.#stream.breakOff()
  }
}
