import type { ChatClient, ClientStream } from '../../relay/answer/client-stream.ts'
import type { ChatEvent, FinishReason, ToolCall, Usage } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { AnswerEvent } from '../../sdk/question.ts'

/** Number of unread events beyond which backpressure is applied to the upstream. */
const maxWaiting = 64

/**
 * The client's side of a stream that is read within this process: it receives the events of a response as JSON lines, with the
 * backpressure of the consumer.
 */
export class AnswerEvents implements ChatClient, ClientStream {
  committed = false
  readonly #waiting: ChatEvent[] = []
  #error: { thrown: unknown } | undefined
  #ended = false
  #wake: (() => void) | undefined
  #resume: (() => void) | undefined

  /** A dialect whose streams are these lines. */
  static dialect(like: Dialect): Dialect {
    const createWriter = () => ({ write: (event: ChatEvent) => `${JSON.stringify(event)}\n` })
    return { ...like, chat: { ...like.chat, createWriter } }
  }

  stream(): ClientStream {
    return this
  }

  large(): ClientStream {
    return this
  }

  whole(): void {
    throw new Error('a stream was requested')
  }

  writeError(error: RouterError): string {
    this.#error ??= { thrown: error }
    return ''
  }

  commit(): void {
    this.committed = true
  }

  write(lines: Buffer | string): boolean {
    for (const line of lines.toString().split('\n')) if (line !== '') this.#waiting.push(JSON.parse(line))
    this.#wake?.()
    return this.#waiting.length < maxWaiting
  }

  onDrain(resume: () => void): void {
    this.#resume = resume
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  reset(): void {
    this.end()
  }

  fail(thrown: unknown): void {
    this.#error ??= { thrown }
    this.end()
  }

  /** Throws the stream's error, after the events before it. */
  async *events(): AsyncGenerator<ChatEvent, void, undefined> {
    for (;;) {
      const event = this.#waiting.shift()
      if (event) {
        yield event
      } else if (this.#ended) {
        if (this.#error) throw this.#error.thrown
        return
      } else {
        await this.#more()
      }
    }
  }

  #more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
    return promise
  }
}

/** The events of a chat for extensions: tool calls with complete arguments, and one end. */
export async function* readableEvents(
  events: AsyncIterable<ChatEvent>,
  modelOf: () => string,
): AsyncGenerator<AnswerEvent, void, undefined> {
  const calls = new Map<number, ToolCall>()
  let finishReason: FinishReason = 'stop'
  let usage: Usage | undefined
  for await (const event of events) {
    switch (event.type) {
      case 'text-delta':
        if (event.text !== '') yield { type: 'text', text: event.text }
        break
      case 'reasoning-delta':
        if (event.text !== '') yield { type: 'reasoning', text: event.text }
        break
      case 'refusal-delta':
        yield { type: 'refusal', text: event.text }
        break
      case 'tool-call-start':
        calls.set(event.call, { id: event.id, name: event.name, arguments: '' })
        break
      case 'tool-call-delta': {
        const call = calls.get(event.call)
        if (call) call.arguments += event.arguments
        break
      }
      case 'block-end': {
        const call = calls.get(event.call)
        if (call) yield { type: 'tool-call', ...call, arguments: call.arguments || '{}' }
        calls.delete(event.call)
        break
      }
      case 'usage':
        usage = event.usage
        break
      case 'finish':
        finishReason = event.reason
        break
      case 'end':
        yield { type: 'end', model: modelOf(), finishReason, usage }
        break
      case 'start':
      case 'citation':
      case 'file':
      case 'error':
        break
    }
  }
}
