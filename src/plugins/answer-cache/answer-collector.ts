import { ArrayFraming, EventFraming, type Framing, LineFraming } from '../../processors/answers/framing.ts'
import { holdsMoreThanChat } from '../../processors/cache/kept-answer.ts'
import { addEvent } from '../../relay/answer/whole-answer.ts'
import type { ChatEvent, ChatResponse } from '../../sdk/chat.ts'
import type { ChatStreamReader, Dialect } from '../../sdk/dialect.ts'

/** Puts a stream together as its client gets it. Gives up, and holds nothing, for what is not to be kept. */
export class AnswerCollector {
  readonly #framing: Framing
  readonly #reader: ChatStreamReader
  /** Whether the reader gets what the stream holds as events, whatever its own form. */
  readonly #isArray: boolean
  readonly #decoder = new TextDecoder()
  readonly #maxBytes: number
  #response: ChatResponse | undefined = { choices: [] }
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
    if (!this.#response) return
    try {
      this.#read(typeof bytes === 'string' ? bytes : this.#decoder.decode(bytes, { stream: true }))
    } catch {
      this.giveUp() // what cannot be read, or is too long, is not kept
    }
  }

  /** Whether it is certain that there will be no answer to keep. */
  get hasGivenUp(): boolean {
    return this.#response === undefined
  }

  giveUp(): void {
    this.#response = undefined
  }

  /** The answer, if it is complete. */
  end(): ChatResponse | undefined {
    try {
      if (this.#response) this.#reader.end((event) => this.#add(event), true)
    } catch {
      this.giveUp() // the stream has ended with an error
    }
    return this.#isComplete ? this.#response : undefined
  }

  #read(text: string): void {
    for (const { before, json, after } of this.#framing.push(text)) {
      if (json !== undefined && holdsMoreThanChat(JSON.parse(json))) throw new Error('more than a chat')
      const event = this.#isArray ? json && `data: ${json}\n\n` : before + (json ?? '') + after
      if (event) this.#reader.push(Buffer.from(event), (each) => this.#add(each))
    }
  }

  #add(event: ChatEvent): void {
    if (!this.#response) return
    if ('text' in event) this.#bytes += Buffer.byteLength(event.text)
    if ('arguments' in event) this.#bytes += Buffer.byteLength(event.arguments)
    if (event.type === 'end') this.#isComplete = true
    if (this.#bytes > this.#maxBytes) this.giveUp()
    else addEvent(this.#response, event)
  }
}
