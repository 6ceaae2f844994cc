import { lineJson } from '../../lib/bytes/lines.ts'
import { isObject } from '../../lib/json/read.ts'
import type {
  ChatEvent,
  ChatMessage,
  ChatRequest,
  ChatResponse,
  SystemMessage,
  Timings,
  TokenLogprob,
  Usage,
  UserMessage,
} from '../../sdk/chat.ts'
import type {
  AnswerContext,
  ChatStreamWriter,
  Dialect,
  Drop,
  WriteRequestOptions,
} from '../../sdk/dialect.ts'
import { badRequest } from '../../sdk/errors.ts'
import { randomCallId } from '../shared/call-ids.ts'
import { generateContents } from './contents.ts'
import { ollama } from './index.ts'
import { readImage, writeImage } from './request/messages-read.ts'
import { readRequest as readChat } from './request/read.ts'
import { writeRequest as writeChat } from './request/write.ts'
import { writeEnd, writeLogprobs } from './response/fields-write.ts'
import { readResponse as readChatAnswer } from './response/read.ts'
import { writeResponse as writeChatAnswer } from './response/write.ts'

/**
 * Ollama's generate, as a second surface of its dialect: an Ollama server gets it as it is, others get a chat, or where
 * they must continue a text verbatim, a completion. Source: Ollama API reference, "Generate a completion".
 */
export const ollamaGenerate: Dialect = {
  ...ollama,
  name: 'ollama-generate',
  native: { dialect: 'ollama', operation: 'completion' },
  contents: generateContents,
  chat: {
    ...ollama.chat,
    promptMembers: ['system', 'prompt'],
    readRequest,
    writeRequest,
    readResponse,
    writeResponse,
    createWriter,
  },
}

/**
 * Reads a body of `POST /api/generate` as a chat of one user turn. A chat cannot express `raw` and `suffix`. Throws
 * `bad_request` for a `context`: it is made of the tokens of another server's model.
 */
function readRequest(body: Record<string, unknown>, stream: boolean): ChatRequest {
  const { prompt, system, images, suffix, raw, context, ...rest } = body
  if (Array.isArray(context) && context.length > 0) {
    throw badRequest(
      "'context' is only understood by the Ollama server that gave it; send the conversation to /api/chat",
      'context',
    )
  }
  const ahead = typeof suffix === 'string' && suffix !== '' ? { suffix } : {}
  const isRaw = raw === true
  return {
    // The rest are members that chats have too, and `template`, which is reported as dropped with other unknown members.
    ...readChat({ ...rest, ...(rest.template === '' ? { template: null } : {}) }, stream),
    messages: [...systemOf(system), userOf(prompt, images)],
    ...(isRaw || 'suffix' in ahead ? { completion: { raw: isRaw, ...ahead } } : {}),
  }
}

function systemOf(system: unknown): SystemMessage[] {
  if (typeof system !== 'string' || system === '') return []
  return [{ role: 'system', developer: false, parts: [{ type: 'text', text: system }] }]
}

function userOf(prompt: unknown, images: unknown): UserMessage {
  const pictures = Array.isArray(images) ? images.filter((image) => typeof image === 'string') : []
  return {
    role: 'user',
    parts: [
      { type: 'text', text: typeof prompt === 'string' ? prompt : '' },
      ...pictures.map((image, index) => readImage(image, `images[${index}]`)),
    ],
  }
}

/** The body for a text to be continued, with or without the model's template around it. */
function writeRequest(request: ChatRequest, options: WriteRequestOptions): Record<string, unknown> {
  const {
    messages: _none,
    tools: _tools,
    ...body
  } = writeChat({ ...request, messages: [], tools: [] }, options)
  const { raw = false, suffix } = request.completion ?? {}
  const system = textOf(request.messages.filter(({ role }) => role === 'system'))
  const others = request.messages.filter(({ role }) => role !== 'system')
  const images = imagesOf(others, options.drop)
  return {
    ...body,
    prompt: textOf(others),
    ...(system === '' ? {} : { system }),
    ...(raw ? { raw } : {}),
    ...(suffix === undefined ? {} : { suffix }),
    ...(images.length === 0 ? {} : { images }),
  }
}

function textOf(messages: readonly ChatMessage[]): string {
  const texts = messages.map(({ parts }) =>
    parts.map((part) => (part.type === 'text' || part.type === 'refusal' ? part.text : '')).join(''),
  )
  return texts.filter((text) => text !== '').join('\n\n')
}

function imagesOf(messages: readonly ChatMessage[], drop: Drop): string[] {
  return messages.flatMap(({ parts }) =>
    parts.flatMap((part) => {
      if (part.type === 'image') return [writeImage(part, 'images')]
      if (part.type === 'audio' || part.type === 'file')
        drop(part.type, 'Ollama supports only text and images')
      return []
    }),
  )
}

/** Reads a whole answer of `POST /api/generate`. Throws `upstream_error` when it is none. */
function readResponse(body: unknown): ChatResponse {
  if (!isObject(body) || typeof body.response !== 'string') return readChatAnswer(body, randomCallId)
  const { response: content, thinking, ...rest } = body
  return readChatAnswer({ ...rest, message: { content, thinking } }, randomCallId)
}

/** Writes a whole answer. No `context`: it would be the tokens of one server's model. */
function writeResponse(response: ChatResponse, context: AnswerContext): Record<string, unknown> {
  const choices = response.choices.map((choice) => ({ ...choice, toolCalls: [] }))
  const { model, created_at, message, ...rest } = writeChatAnswer({ ...response, choices }, context)
  const { content = '', thinking } = isObject(message) ? message : {}
  return { model, created_at, response: content, ...(thinking === undefined ? {} : { thinking }), ...rest }
}

/** Writes the NDJSON of a streamed answer. Format: Ollama API reference, "Generate a completion" with streaming. */
function createWriter(context: AnswerContext): ChatStreamWriter {
  return new GenerateWriter(context)
}

class GenerateWriter implements ChatStreamWriter {
  readonly #context: AnswerContext
  #over = false
  #firstContentMs: number | undefined
  #usage: Usage | undefined
  #timings: Timings | undefined
  #ending: Parameters<typeof writeEnd>[0] = { reason: 'stop' }

  constructor(context: AnswerContext) {
    this.#context = context
  }

  write(event: ChatEvent): string {
    // Ollama has one answer per request.
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
        this.#ending = event
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
    const end = writeEnd(this.#ending, this.#usage, { ...measured, ...this.#timings })
    return `${lineJson({ ...this.#head(), response: '', ...end })}\n`
  }
}

const emptySaid = { chat: { message: { role: 'assistant', content: '' } }, generate: { response: '' } }

/**
 * The answer to a chat without messages or a generate without prompt, by which Ollama's clients load a model, or unload it
 * with a `keep_alive` of 0. Source: Ollama API reference, "Load a model" and "Unload a model".
 */
export function loadAnswer(
  model: string,
  createdAt: Date,
  reason: 'load' | 'unload',
  form: 'chat' | 'generate' = 'chat',
): Record<string, unknown> {
  return {
    model,
    created_at: createdAt.toISOString(),
    ...emptySaid[form],
    done: true,
    done_reason: reason,
  }
}

/** A time to live of nothing, in any unit: unload the model. */
export function isZeroTime(keepAlive: unknown): boolean {
  return keepAlive === 0 || (typeof keepAlive === 'string' && /^0(ns|us|ms|s|m|h)?$/.test(keepAlive))
}
