import { isObject } from '../../lib/json/read.ts'
import type { ChatEvent, ChatResponse, FinishReason, Timings, TokenLogprob, Usage } from '../../sdk/chat.ts'
import type { AnswerContext, ChatStreamWriter } from '../../sdk/dialect.ts'
import { randomCallId } from '../shared/call-ids.ts'
import { writeEnd, writeLogprobs } from './answer-write.ts'
import { lineJson } from './json.ts'
import { readResponse as readChat, writeResponse as writeChat } from './response.ts'

/** Reads a whole answer of `POST /api/generate`. Throws `upstream_error` when it is none. */
export function readResponse(body: unknown): ChatResponse {
  if (!isObject(body) || typeof body.response !== 'string') return readChat(body, randomCallId)
  const { response: content, thinking, ...rest } = body
  return readChat({ ...rest, message: { content, thinking } }, randomCallId)
}

/** Writes a whole answer. No `context`: it would be the tokens of one server's model. */
export function writeResponse(response: ChatResponse, context: AnswerContext): Record<string, unknown> {
  const choices = response.choices.map((choice) => ({ ...choice, toolCalls: [] }))
  const { model, created_at, message, ...rest } = writeChat({ ...response, choices }, context)
  const { content = '', thinking } = isObject(message) ? message : {}
  return { model, created_at, response: content, ...(thinking === undefined ? {} : { thinking }), ...rest }
}

/** Writes the NDJSON of a streamed answer. Format: Ollama API reference, "Generate a completion" with streaming. */
export function createWriter(context: AnswerContext): ChatStreamWriter {
  return new GenerateWriter(context)
}

class GenerateWriter implements ChatStreamWriter {
  readonly #context: AnswerContext
  #over = false
  #firstContentMs: number | undefined
  #usage: Usage | undefined
  #timings: Timings | undefined
  #reason: FinishReason = 'stop'

  constructor(context: AnswerContext) {
    this.#context = context
  }

  write(event: ChatEvent): string {
    // One answer is all that Ollama has.
    if (this.#over || ('choice' in event && event.choice !== 0)) return ''
    switch (event.type) {
      case 'text-delta':
        return this.#line({ response: event.text }, event.logprobs)
      case 'refusal-delta':
        return this.#line({ response: event.text })
      case 'reasoning-delta':
        return this.#line({ response: '', thinking: event.text })
      case 'usage':
        this.#usage = event.usage
        this.#timings = event.timings
        return ''
      case 'finish':
        this.#reason = event.reason
        return ''
      case 'end':
        return this.#end()
      case 'error':
        this.#over = true
        return `${lineJson({ error: event.error.message })}\n`
      case 'start':
      case 'tool-call-start':
      case 'tool-call-delta':
      case 'block-end':
        return ''
    }
  }

  #line(said: Record<string, string>, logprobs: readonly TokenLogprob[] = []): string {
    this.#firstContentMs ??= this.#context.elapsedMs()
    const tail = logprobs.length === 0 ? {} : { logprobs: writeLogprobs(logprobs) }
    return `${lineJson({ ...this.#head(), ...said, done: false, ...tail })}\n`
  }

  #head(): Record<string, string> {
    return { model: this.#context.model, created_at: this.#context.now().toISOString() }
  }

  /** Durations as in chats: the upstream's own, else the wait for the first content counts as reading the prompt. */
  #end(): string {
    this.#over = true
    const totalMs = this.#context.elapsedMs()
    const firstMs = this.#firstContentMs ?? totalMs
    const measured = {
      totalNs: totalMs * 1e6,
      promptNs: firstMs * 1e6,
      completionNs: (totalMs - firstMs) * 1e6,
    }
    const end = writeEnd(this.#reason, this.#usage, { ...measured, ...this.#timings })
    return `${lineJson({ ...this.#head(), response: '', ...end })}\n`
  }
}
