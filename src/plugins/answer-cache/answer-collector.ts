import { ArrayFraming, EventFraming, type Framing, LineFraming } from '../../processors/answers/framing.ts'
import { holdsMoreThanChat } from '../../processors/cache/cached-answer.ts'
import { CollectedResponse } from '../../relay/answer/whole-answer.ts'
import type { ChatEvent, ChatResponse } from '../../sdk/chat.ts'
import type { ChatStreamReader, Dialect } from '../../sdk/dialect.ts'

/** Assembles a streamed response on its way to the client. Once it is certain that it cannot be stored, gives up and frees its memory. */
export class AnswerCollector {
  readonly #framing: Framing
  readonly #reader: ChatStreamReader
  /** Whether the stream is a JSON array, whose elements are passed to the reader as server-sent events. */
  readonly #isArray: boolean
  readonly #decoder = new TextDecoder()
  readonly #maxBytes: number
  #collected: CollectedResponse | undefined = new CollectedResponse()
  #bytes = 0
  #isComplete = false

  constructor({ chat, streamMediaType }: Dialect, maxBytes: number) {
    this.#isArray = !/event-stream|ndjson/.test(streamMediaType)
    if (streamMediaType.includes('event-stream')) this.#framing = new EventFraming()
    else this.#framing = this.#isArray ? new ArrayFraming() : new LineFraming()
    this.#reader = chat.createReader()
    this.#maxBytes = maxBytes
  }

  push(bytes: Buffer | string): void {
    if (!this.#collected) return
    try {
      this.#read(typeof bytes === 'string' ? bytes : this.#decoder.decode(bytes, { stream: true }))
    } catch {
      this.giveUp() // unreadable or too large to store
    }
  }

  /** Whether it is certain that nothing will be stored. */
  get hasGivenUp(): boolean {
    return this.#collected === undefined
  }

  giveUp(): void {
    this.#collected = undefined
  }

  /** The response, if it is complete. */
  end(): ChatResponse | undefined {
    try {
      if (this.#collected) this.#reader.end((event) => this.#add(event), true)
    } catch {
      this.giveUp() // the stream ended with an error
    }
    return this.#isComplete ? this.#collected?.response : undefined
  }

  #read(text: string): void {
    for (const { before, json, after } of this.#framing.push(text)) {
      if (json !== undefined && holdsMoreThanChat(JSON.parse(json)))
        throw new Error('not representable as a chat')
      const event = this.#isArray ? json && `data: ${json}\n\n` : before + (json ?? '') + after
      if (event) this.#reader.push(Buffer.from(event), (each) => this.#add(each))
    }
  }

  #add(event: ChatEvent): void {
    if (!this.#collected) return
    if ('text' in event) this.#bytes += Buffer.byteLength(event.text)
    if ('arguments' in event) this.#bytes += Buffer.byteLength(event.arguments)
    if (event.type === 'end') this.#isComplete = true
    if (this.#bytes > this.#maxBytes) this.giveUp()
    else this.#collected.add(event)
  }
}
