import { isObject, type JsonObject, objectsIn, present } from '../../../lib/json/read.ts'
import type { ChatEvent, ChatResponse, FinishReason, TokenLogprob, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext, ChatStreamWriter } from '../../../sdk/dialect.ts'
import { dropEvent, dropOutput } from '../../shared/dropped-output.ts'
import { readResponse as readChat } from '../response/read.ts'
import { type AnswerHead, writeUsage } from '../response/write.ts'
import { writeStreamError } from '../stream/write.ts'
import { writeListedLogprobs } from './logprobs.ts'

/** Reads a whole `text_completion`. Throws `upstream_error` if it is not one. */
export function readResponse(body: unknown): ChatResponse {
  if (!isObject(body) || !Array.isArray(body.choices)) return readChat(body)
  const choices = objectsIn(body.choices).map(({ text, ...choice }) =>
    typeof text === 'string' ? { ...choice, message: { content: text } } : choice,
  )
  return readChat({ ...body, choices })
}

/** A `text_completion`, which has no member for reasoning. Source: OpenAI API reference, "The completion object". */
export function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
  const prompt = echoedPrompt(context)
  dropOutput(response, context)
  return {
    ...headOf(context, response),
    choices: response.choices.map(({ index, text, refusal = '', logprobs, finishReason }) => ({
      text: prompt + text + refusal,
      index,
      logprobs: writeListedLogprobs(logprobs, prompt.length),
      finish_reason: completionFinishReason(finishReason),
    })),
    ...(response.usage ? { usage: writeUsage(response.usage) } : {}),
  }
}

/** Writes the chunks of a streamed completion, which have the form of a whole one. */
export function createWriter(context: AnswerContext): ChatStreamWriter {
  return new CompletionWriter(context)
}

class CompletionWriter implements ChatStreamWriter {
  readonly #context: AnswerContext
  /** Length of each choice so far, in characters. */
  readonly #lengths = new Map<number, number>()
  #head: JsonObject
  #usage: Usage | undefined
  #over = false

  constructor(context: AnswerContext) {
    this.#context = context
    this.#head = headOf(context, {})
  }

  write(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'start':
        this.#head = headOf(this.#context, event)
        return ''
      case 'text-delta':
        return this.#text(event.choice, event.text, event.logprobs)
      case 'refusal-delta':
        return this.#text(event.choice, event.text)
      case 'citation':
      case 'file':
        dropEvent(this.#context, event)
        return ''
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        return this.#finish(event.choice, event.reason)
      case 'end':
        this.#over = true
        return `${this.#usageChunk()}data: [DONE]\n\n`
      case 'error':
        this.#over = true
        return writeStreamError(event.error, false)
      case 'reasoning-delta':
      case 'tool-call-start':
      case 'tool-call-delta':
      case 'block-end':
        return ''
    }
  }

  #text(choice: number, text: string, logprobs?: readonly TokenLogprob[]): string {
    const length = this.#lengths.get(choice)
    const prompt = length === undefined ? echoedPrompt(this.#context) : ''
    const offset = (length ?? 0) + prompt.length
    this.#lengths.set(choice, offset + text.length)
    return this.#chunk(choice, prompt + text, writeListedLogprobs(logprobs, offset), null)
  }

  #finish(choice: number, reason: FinishReason): string {
    const prompt = this.#lengths.has(choice) ? '' : echoedPrompt(this.#context)
    return this.#chunk(choice, prompt, null, completionFinishReason(reason))
  }

  #chunk(index: number, text: string, logprobs: JsonObject | null, finish: string | null): string {
    const choices = [{ text, index, logprobs, finish_reason: finish }]
    // A client that asked for usage gets the member in every chunk.
    const usage = this.#context.includeUsage ? { usage: null } : {}
    return `data: ${JSON.stringify({ ...this.#head, choices, ...usage })}\n\n`
  }

  #usageChunk(): string {
    if (!this.#context.includeUsage || !this.#usage) return ''
    return `data: ${JSON.stringify({ ...this.#head, choices: [], usage: writeUsage(this.#usage) })}\n\n`
  }
}

function headOf(context: AnswerContext, { id, created, systemFingerprint }: AnswerHead): JsonObject {
  return {
    id: id?.startsWith('cmpl-') ? id : `cmpl-${context.id}`,
    object: 'text_completion',
    created: created ?? context.created,
    model: context.model,
    ...present({ system_fingerprint: systemFingerprint }),
  }
}

/** The prompt that `echo` repeats before the response; empty without it. */
function echoedPrompt({ request }: AnswerContext): string {
  if (request?.echo !== true) return ''
  const [prompt]: unknown[] = Array.isArray(request.prompt) ? request.prompt : [request.prompt]
  return typeof prompt === 'string' ? prompt : ''
}

/** Completions have no tools, so `tool_calls` becomes `stop`. */
function completionFinishReason(reason: FinishReason): string {
  return reason === 'tool_calls' ? 'stop' : reason
}
