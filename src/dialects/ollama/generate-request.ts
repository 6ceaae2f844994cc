import type { ChatMessage, ChatRequest, SystemMessage, UserMessage } from '../../sdk/chat.ts'
import type { Lose, WriteRequestOptions } from '../../sdk/dialect.ts'
import { badRequest } from '../../sdk/errors.ts'
import { readImage, writeImage } from './images.ts'
import { readRequest as readChat } from './request-read.ts'
import { writeRequest as writeChat } from './request-write.ts'

/**
 * Reads a body of `POST /api/generate` as a chat of one user turn. `raw` and `suffix` no chat can say. Throws
 * `bad_request` for a `context`: it is made of the tokens of another server's model.
 */
export function readRequest(body: Record<string, unknown>, stream: boolean): ChatRequest {
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
    // What is left are members that chats have too, and `template`, which is reported as lost with other strangers.
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
export function writeRequest(request: ChatRequest, options: WriteRequestOptions): Record<string, unknown> {
  const {
    messages: _none,
    tools: _tools,
    ...body
  } = writeChat({ ...request, messages: [], tools: [] }, options)
  const { raw = false, suffix } = request.completion ?? {}
  const system = textOf(request.messages.filter(({ role }) => role === 'system'))
  const others = request.messages.filter(({ role }) => role !== 'system')
  const images = imagesOf(others, options.lose)
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

function imagesOf(messages: readonly ChatMessage[], lose: Lose): string[] {
  return messages.flatMap(({ parts }) =>
    parts.flatMap((part) => {
      if (part.type === 'image') return [writeImage(part, 'images')]
      if (part.type === 'audio' || part.type === 'file') lose(part.type, 'Ollama takes texts and images')
      return []
    }),
  )
}
