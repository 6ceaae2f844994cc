import type { AssistantMessage, ChatMessage, ToolMessage, UserPart } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { readSignedId } from '../../shared/signatures.ts'
import { CallIndex } from '../../shared/tools/call-ids.ts'
import { addParts } from '../../shared/tools/call-order.ts'

interface Call {
  id: string
  name: string
  answered: boolean
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
 * Assembles the turns of a conversation from items. A response is a single turn, but several items: reasoning, text and calls.
 * The outputs of its calls may be anywhere, but chat templates expect them right after it, in the order of the calls.
 */
export class Conversation {
  readonly #turns: Turn[] = []
  readonly #calls = new CallIndex<Call>()
  readonly #usedIds = new Set<string>()
  #callCount = 0
  /** All smaller numbers are used. */
  #nextNumber = 0
  /** Outputs that precede their call. */
  readonly #resultsWithoutCall: Result[] = []
  /** The response that the next items may belong to. */
  #openResponse: { message: AssistantMessage; calls: Call[] } | undefined
  #reasoning: { text: string; signature: string | undefined }[] = []

  /** Adds a turn of the user or system. Preceding reasoning without a response is dropped. */
  add(message: ChatMessage): void {
    this.#openResponse = undefined
    this.#reasoning = []
    this.#turns.push({ message, calls: [] })
  }

  addReasoning(text: string, signature?: string): void {
    if (text !== '' || signature !== undefined) this.#reasoning.push({ text, signature })
  }

  /** Text after calls that have no output yet belongs to the same response; other text begins a new one. */
  addAnswer(parts: AssistantMessage['parts']): void {
    if (!this.#openResponse?.calls.length) this.#openResponse = this.#beginResponse()
    addParts(this.#openResponse.message, parts)
    this.#attachReasoning(this.#openResponse.message)
  }

  /** Consecutive calls, and the text before them, are one response with parallel calls. */
  addCall(sentId: string, name: string, json: string): void {
    const { id: unsignedId, signature } = readSignedId(sentId)
    const id = this.#uniqueId(unsignedId)
    const call = { id, name, answered: false, result: undefined }
    this.#openResponse ??= this.#beginResponse()
    this.#openResponse.message.toolCalls.push({
      id,
      name,
      arguments: json,
      ...(signature === undefined ? {} : { signature }),
    })
    this.#openResponse.calls.push(call)
    this.#calls.add(sentId, call)
    this.#attachReasoning(this.#openResponse.message)
  }

  addResult(result: Result): void {
    if (this.#attachResult(result)) this.#openResponse = undefined
    else this.#resultsWithoutCall.push(result)
  }

  /** Throws `bad_request` for an output without a call, or for a second output of a call. */
  messages(): ChatMessage[] {
    for (const result of this.#resultsWithoutCall) {
      if (!this.#attachResult(result)) {
        const path = `${result.path}.call_id`
        throw badRequest(`No open tool call found for the output with call_id '${result.sentId}'`, path)
      }
    }
    return this.#turns.flatMap(({ message, calls }) => [
      message,
      ...calls.map((call) => call.result).filter((result) => result !== undefined),
    ])
  }

  /** Among calls with equal ids, the oldest without output is meant: some engines count from zero in every turn. */
  #attachResult({ sentId, parts }: Result): boolean {
    const call = this.#calls.oldestOpen(sentId)
    if (!call) return false
    call.answered = true
    call.result = { role: 'tool', callId: call.id, name: call.name, parts }
    return true
  }

  /** Depends only on the position, so the same history gets the same ids in every turn. */
  #uniqueId(sentId: string): string {
    let id = sentId
    this.#nextNumber = Math.max(this.#nextNumber, this.#callCount++)
    while (this.#usedIds.has(id)) id = `call_${this.#nextNumber++}`
    this.#usedIds.add(id)
    return id
  }

  #beginResponse(): { message: AssistantMessage; calls: Call[] } {
    const turn = {
      message: { role: 'assistant', parts: [], reasoning: '', toolCalls: [] } satisfies AssistantMessage,
      calls: [],
    }
    this.#turns.push(turn)
    return turn
  }

  #attachReasoning(message: AssistantMessage): void {
    const [first] = this.#reasoning
    if (!first) return
    // A signature is valid for one reasoning item only, so there is none for several joined items.
    const isOnly = this.#reasoning.length === 1 && message.reasoning === '' && !message.reasoningSignature
    const texts = [message.reasoning, ...this.#reasoning.map(({ text }) => text)]
    message.reasoning = texts.filter((text) => text !== '').join('\n\n')
    delete message.reasoningSignature
    if (isOnly && first.signature !== undefined) message.reasoningSignature = first.signature
    this.#reasoning = []
  }
}
