import { escapeLineBreaks, lineJson } from '../../../lib/bytes/lines.ts'
import { parseObject } from '../../../lib/json/read.ts'
import type { ChatEvent, Timings, TokenLogprob, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext, ChatStreamWriter } from '../../../sdk/dialect.ts'
import { dropEvent } from '../../shared/dropped-output.ts'
import { messageForOllama } from '../../shared/error-messages.ts'
import { writeSignedId } from '../../shared/signatures.ts'
import { argumentObject } from '../../shared/tools/tool-arguments.ts'
import { measuredTimings, writeEnd, writeLogprobs } from '../response/fields-write.ts'

/**
 * Writes the NDJSON of a streamed chat. Tool calls are written whole, because Ollama's clients treat each one as complete.
 * Format: Ollama API reference, "Generate a chat completion" with streaming.
 */
export function createWriter(context: AnswerContext): ChatStreamWriter {
  return new Writer(context)
}

interface OpenCall {
  id: string
  name: string
  json: string
}

class Writer implements ChatStreamWriter {
  readonly #context: AnswerContext
  readonly #beforeTime: string
  readonly #calls = new Map<number, OpenCall>()
  #over = false
  #firstContentMs: number | undefined
  #usage: Usage | undefined
  #timings: Timings | undefined
  #ending: Parameters<typeof writeEnd>[0] = { reason: 'stop' }

  constructor(context: AnswerContext) {
    this.#context = context
    this.#beforeTime = `{"model":${lineJson(context.model)},"created_at":"`
  }

  write(event: ChatEvent): string {
    // Ollama has one choice per request.
    if (this.#over || ('choice' in event && event.choice !== 0)) return ''
    switch (event.type) {
      case 'text-delta':
        return this.#line(`"content":${lineJson(event.text)}`, event.logprobs)
      case 'refusal-delta':
        return this.#line(`"content":${lineJson(event.text)}`)
      case 'reasoning-delta':
        return this.#line(`"content":"","thinking":${lineJson(event.text)}`)
      case 'tool-call-start':
        this.#firstContentMs ??= this.#context.elapsedMs()
        this.#calls.set(event.call, { id: writeSignedId(event), name: event.name, json: '' })
        return ''
      case 'tool-call-delta': {
        const call = this.#calls.get(event.call)
        if (call) call.json += event.arguments
        return ''
      }
      case 'block-end':
        return this.#toolCall(event.call)
      case 'citation':
      case 'file':
        dropEvent(this.#context, event)
        return ''
      case 'usage':
        this.#usage = event.usage
        this.#timings = event.timings ?? this.#timings
        return ''
      case 'finish':
        this.#ending = event
        return ''
      case 'start':
        return ''
      case 'end':
        return this.#end()
      case 'error':
        this.#over = true
        return `${lineJson({ error: messageForOllama(event.error) })}\n`
    }
  }

  #line(message: string, logprobs: readonly TokenLogprob[] = []): string {
    this.#firstContentMs ??= this.#context.elapsedMs()
    const tail = logprobs.length === 0 ? '' : `,"logprobs":${lineJson(writeLogprobs(logprobs))}`
    return `${this.#head()}${message}},"done":false${tail}}\n`
  }

  #head(): string {
    return `${this.#beforeTime}${this.#context.now().toISOString()}","message":{"role":"assistant",`
  }

  #toolCall(index: number): string {
    const call = this.#calls.get(index)
    if (!call) return ''
    this.#calls.delete(index)
    // The model's own text if it is an object, so that integers beyond 2^53 keep their value.
    const json = parseObject(call.json)
      ? escapeLineBreaks(call.json.trim())
      : lineJson(argumentObject(call.json))
    const fields = `"index":${index},"name":${lineJson(call.name)},"arguments":${json}`
    return this.#line(`"content":"","tool_calls":[{"id":${lineJson(call.id)},"function":{${fields}}}]`)
  }

  #end(): string {
    this.#over = true
    const timings = { ...measuredTimings(this.#context.elapsedMs(), this.#firstContentMs), ...this.#timings }
    const rest = lineJson(writeEnd(this.#ending, this.#usage, timings)).slice(1)
    return `${this.#head()}"content":""},${rest}\n`
  }
}
