import { lineJson } from '../../lib/bytes/lines.ts'
import { isObject, type JsonObject } from '../../lib/json/read.ts'
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
import type { AnswerContext, ChatStreamWriter, Dialect } from '../../sdk/dialect.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Drop, WriteRequestOptions } from '../../sdk/write-options.ts'
import { dropEvent } from '../shared/dropped-output.ts'
import { messageForOllama } from '../shared/error-messages.ts'
import { randomCallId } from '../shared/tools/call-ids.ts'
import { generateContents } from './contents.ts'
import { ollama } from './index.ts'
import { readImage, writeImage } from './request/messages-read.ts'
import { readRequest as readChat } from './request/read.ts'
import { writeRequest as writeChat } from './request/write.ts'
import { measuredTimings, writeEnd, writeLogprobs } from './response/fields-write.ts'
import { readResponse as readChatAnswer } from './response/read.ts'
import { writeResponse as writeChatAnswer } from './response/write.ts'

/**
 * Ollama's generate, a second surface of its dialect. Ollama servers receive the request unchanged, others receive a chat, or
 * a completion if a text must be continued verbatim. Source: Ollama API reference, "Generate a completion".
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
 * Reads a body of `POST /api/generate` as a chat with one user turn. `raw` and `suffix` need a server with text completion.
 * Throws `bad_request` for a `context`: its token ids are valid only for the server that created it.
 */
function readRequest(body: JsonObject, stream: boolean): ChatRequest {
  const { prompt, system, images, suffix, raw, context, ...rest } = body
  if (Array.isArray(context) && context.length > 0) {
    throw badRequest(
      "'context' is valid only for the Ollama server that created it; send the conversation to /api/chat",
      'context',
    )
  }
  const suffixMember = typeof suffix === 'string' && suffix !== '' ? { suffix } : {}
  const isRaw = raw === true
  return {
    // The rest are members of chats, and `template`, which is reported as dropped like other unknown members.
    ...readChat({ ...rest, ...(rest.template === '' ? { template: null } : {}) }, stream),
    messages: [...systemOf(system), userOf(prompt, images)],
    ...(isRaw || 'suffix' in suffixMember ? { completion: { raw: isRaw, ...suffixMember } } : {}),
  }
}

function systemOf(system: unknown): SystemMessage[] {
  if (typeof system !== 'string' || system === '') return []
  return [{ role: 'system', developer: false, parts: [{ type: 'text', text: system }] }]
}

function userOf(prompt: unknown, images: unknown): UserMessage {
  const sentImages = Array.isArray(images) ? images.filter((image) => typeof image === 'string') : []
  return {
    role: 'user',
    parts: [
      { type: 'text', text: typeof prompt === 'string' ? prompt : '' },
      ...sentImages.map((image, index) => readImage(image, `images[${index}]`)),
    ],
  }
}

/** The body for a prompt that is to be continued, with or without the model's template. */
function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
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

/** Reads a whole answer of `POST /api/generate`. Throws `upstream_error` if it is not one. */
function readResponse(body: unknown): ChatResponse {
  if (!isObject(body) || typeof body.response !== 'string') return readChatAnswer(body, randomCallId)
  const { response: content, thinking, ...rest } = body
  return readChatAnswer({ ...rest, message: { content, thinking } }, randomCallId)
}

/** Writes a whole answer, without `context`, which would be valid only for one server. */
function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
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
    // Ollama has one choice per request.
    if (this.#over || ('choice' in event && event.choice !== 0)) return ''
    switch (event.type) {
      case 'text-delta':
        return this.#line({ response: event.text }, event.logprobs)
      case 'refusal-delta':
        return this.#line({ response: event.text })
      case 'reasoning-delta':
        return this.#line({ response: '', thinking: event.text })
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
      case 'end':
        return this.#end()
      case 'error':
        this.#over = true
        return `${lineJson({ error: messageForOllama(event.error) })}\n`
      case 'start':
      case 'tool-call-start':
      case 'tool-call-delta':
      case 'block-end':
        return ''
    }
  }

  #line(content: Record<string, string>, logprobs: readonly TokenLogprob[] = []): string {
    this.#firstContentMs ??= this.#context.elapsedMs()
    const tail = logprobs.length === 0 ? {} : { logprobs: writeLogprobs(logprobs) }
    return `${lineJson({ ...this.#head(), ...content, done: false, ...tail })}\n`
  }

  #head(): Record<string, string> {
    return { model: this.#context.model, created_at: this.#context.now().toISOString() }
  }

  #end(): string {
    this.#over = true
    const timings = { ...measuredTimings(this.#context.elapsedMs(), this.#firstContentMs), ...this.#timings }
    const end = writeEnd(this.#ending, this.#usage, timings)
    return `${lineJson({ ...this.#head(), response: '', ...end })}\n`
  }
}

const emptyContent = { chat: { message: { role: 'assistant', content: '' } }, generate: { response: '' } }

/**
 * The answer to a chat without messages or a generate without a prompt, with which Ollama's clients load a model, or unload it
 * if `keep_alive` is 0. Source: Ollama API reference, "Load a model" and "Unload a model".
 */
export function loadAnswer(
  model: string,
  createdAt: Date,
  reason: 'load' | 'unload',
  form: 'chat' | 'generate' = 'chat',
): JsonObject {
  return {
    model,
    created_at: createdAt.toISOString(),
    ...emptyContent[form],
    done: true,
    done_reason: reason,
  }
}

/** Whether `keep_alive` is zero, in any unit, which unloads the model. */
export function isZeroDuration(keepAlive: unknown): boolean {
  return keepAlive === 0 || (typeof keepAlive === 'string' && /^0(ns|us|ms|s|m|h)?$/.test(keepAlive))
}
