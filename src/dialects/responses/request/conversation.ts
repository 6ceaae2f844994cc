import type { AssistantMessage, ChatMessage, ToolMessage, UserPart } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { readSignedId } from '../../shared/signatures.ts'

interface Call {
  sentId: string
  id: string
  name: string
  result: ToolMessage | undefined
}

interface Result {
  sentId: string
  parts: UserPart[]
  path: string
}

interface Turn {
  message: ChatMessage
  calls: Call[]
}

/**
 * Assembles turns from items. A response is one turn here but several items there: thoughts, text and calls. The
 * outputs of its calls may be anywhere; chat templates want them right behind it, in the order of the calls.
 */
export class Conversation {
  readonly #turns: Turn[] = []
  readonly #calls: Call[] = []
  /** Outputs that precede their call. */
  readonly #waiting: Result[] = []
  /** The answer that the next items may belong to. */
  #open: { message: AssistantMessage; calls: Call[] } | undefined
  #thoughts: { text: string; signature: string | undefined }[] = []

  /** A turn of the user or the system; thoughts without a following response are dropped. */
  add(message: ChatMessage): void {
    this.#open = undefined
    this.#thoughts = []
    this.#turns.push({ message, calls: [] })
  }

  addThoughts(text: string, signature?: string): void {
    if (text !== '' || signature !== undefined) this.#thoughts.push({ text, signature })
  }

  /** Text beside calls that still wait for their outputs is the same answer; else it is one of its own. */
  addAnswer(parts: AssistantMessage['parts']): void {
    if (!this.#open?.calls.length) this.#open = this.#begin()
    this.#open.message.parts.push(...parts)
    this.#takeThoughts(this.#open.message)
  }

  /** Calls in a row, and the text before them, are one answer with parallel calls. */
  addCall(sentId: string, name: string, json: string): void {
    const { id: own, signature } = readSignedId(sentId)
    const id = this.#freeId(own)
    const call = { sentId, id, name, result: undefined }
    this.#open ??= this.#begin()
    this.#open.message.toolCalls.push({
      ...{ id, name, arguments: json },
      ...(signature === undefined ? {} : { signature }),
    })
    this.#open.calls.push(call)
    this.#calls.push(call)
    this.#takeThoughts(this.#open.message)
  }

  addResult(result: Result): void {
    if (this.#settle(result)) this.#open = undefined
    else this.#waiting.push(result)
  }

  /** Throws `bad_request` for an output that belongs to no call, or to one that has its output. */
  messages(): ChatMessage[] {
    for (const result of this.#waiting) {
      if (!this.#settle(result)) {
        const path = `${result.path}.call_id`
        throw badRequest(`No open tool call found for the output with call_id '${result.sentId}'`, path)
      }
    }
    return this.#turns.flatMap(({ message, calls }) => [
      message,
      ...calls.map((call) => call.result).filter((result) => result !== undefined),
    ])
  }

  /** Of calls with one id, the oldest that waits is meant: some engines count from zero in every turn. */
  #settle({ sentId, parts }: Result): boolean {
    const call = this.#calls.find((each) => each.sentId === sentId && !each.result)
    if (!call) return false
    call.result = { role: 'tool', callId: call.id, name: call.name, parts }
    return true
  }

  /** Depends only on the position, so the same history gets the same ids in every turn. */
  #freeId(sentId: string): string {
    let id = sentId
    for (let number = this.#calls.length; this.#calls.some((call) => call.id === id); number++) {
      id = `call_${number}`
    }
    return id
  }

  #begin(): { message: AssistantMessage; calls: Call[] } {
    const turn = {
      message: { role: 'assistant', parts: [], reasoning: '', toolCalls: [] } satisfies AssistantMessage,
      calls: [],
    }
    this.#turns.push(turn)
    return turn
  }

  #takeThoughts(message: AssistantMessage): void {
    const [first] = this.#thoughts
    if (!first) return
    // A signature proves one thought; it is worth nothing for several that were joined.
    const isOnly = this.#thoughts.length === 1 && message.reasoning === '' && !message.reasoningSignature
    const texts = [message.reasoning, ...this.#thoughts.map(({ text }) => text)]
    message.reasoning = texts.filter((text) => text !== '').join('\n\n')
    delete message.reasoningSignature
    if (isOnly && first.signature !== undefined) message.reasoningSignature = first.signature
    this.#thoughts = []
  }
}
