import { createHash } from 'node:crypto'
import { isObject } from '../../../lib/json/read.ts'
import type {
  AssistantMessage,
  ChatMessage,
  ImagePart,
  ToolCall,
  ToolMessage,
  UserPart,
} from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { readSignedId } from '../../shared/signatures.ts'
import { convertedArguments, historyArguments } from '../../shared/tool-arguments.ts'

/** Called for fields that cannot be translated unchanged. */
type Lose = (field: string, why: string) => void

/** Reads the turns of a conversation; assigns an id to every tool call and a call to every result. Throws `bad_request`. */
export function readMessages(messages: readonly unknown[], lose: Lose): ChatMessage[] {
  const calls = new ConversationCalls()
  return messages.map((message, index) => {
    const path = `messages[${index}]`
    if (!isObject(message)) throw badRequest(`${path} must be an object`, path)
    switch (typeof message.role === 'string' ? message.role.toLowerCase() : undefined) {
      case 'system':
        refuseImages(message, path)
        return {
          role: 'system',
          developer: false,
          parts: [{ type: 'text', text: contentOf(message, path) }],
        }
      case 'user':
        return { role: 'user', parts: userParts(message, path) }
      case 'assistant':
        refuseImages(message, path)
        return readAssistant(message, index, calls, lose)
      case 'tool':
        return readToolResult(message, path, calls)
      default:
        throw badRequest(`${path}.role must be system, user, assistant or tool`, `${path}.role`)
    }
  })
}

function contentOf(message: Record<string, unknown>, path: string): string {
  const content = message.content ?? ''
  if (typeof content === 'string') return content
  throw badRequest(`${path}.content must be a string`, `${path}.content`)
}

function userParts(message: Record<string, unknown>, path: string): UserPart[] {
  const text = contentOf(message, path)
  const images = imagesOf(message).map((image, index) => readImage(image, `${path}.images[${index}]`))
  return text === '' && images.length > 0 ? images : [{ type: 'text', text }, ...images]
}

function imagesOf(message: Record<string, unknown>): string[] {
  return Array.isArray(message.images) ? message.images.filter((image) => typeof image === 'string') : []
}

function refuseImages(message: Record<string, unknown>, path: string): void {
  if (imagesOf(message).length === 0) return
  throw badRequest(`${path}.images: only user and tool messages can hold images`, `${path}.images`)
}

function readAssistant(
  message: Record<string, unknown>,
  index: number,
  calls: ConversationCalls,
  lose: Lose,
): AssistantMessage {
  const path = `messages[${index}]`
  const text = contentOf(message, path)
  const toolCalls = Array.isArray(message.tool_calls) ? message.tool_calls : []
  return {
    role: 'assistant',
    parts: text === '' ? [] : [{ type: 'text', text }],
    reasoning: typeof message.thinking === 'string' ? message.thinking : '',
    toolCalls: toolCalls.map((call: unknown, at): ToolCall => {
      const called = isObject(call) ? call.function : undefined
      const param = `${path}.tool_calls[${at}].function`
      if (!isObject(call) || !isObject(called) || typeof called.name !== 'string') {
        throw badRequest(`${param} must be an object with a name`, param)
      }
      const { json, isConverted } = historyArguments(called.arguments)
      if (isConverted) lose('messages.tool_calls.function.arguments', convertedArguments)
      const id = calls.add(index, at, call.id, called.name)
      const { signature } = readSignedId(typeof call.id === 'string' ? call.id : '')
      return { id, name: called.name, arguments: json, ...(signature === undefined ? {} : { signature }) }
    }),
  }
}

function readToolResult(
  message: Record<string, unknown>,
  path: string,
  calls: ConversationCalls,
): ToolMessage {
  // Clients used `name` before Ollama introduced `tool_name`.
  const given = message.tool_name ?? message.name
  const name = typeof given === 'string' && given !== '' ? given : undefined
  const call = calls.answer(message.tool_call_id, name)
  if (!call) throw badRequest(`${path} matches no tool call: every earlier call already has its result`, path)
  return { role: 'tool', callId: call.id, name: name ?? call.name, parts: userParts(message, path) }
}

/**
 * The tool calls of a conversation and which of them were answered. Ollama's clients may leave out the ids on either
 * side: JavaScript's types have no `tool_call_id`, and others send not even `tool_name`.
 */
class ConversationCalls {
  readonly #used = new Set<string>()
  readonly #waiting: { id: string; given: unknown; name: string }[] = []

  /** The id of a call by its position: a conversation gets the same ids in every turn, so prompt caches stay valid. */
  add(message: number, call: number, given: unknown, name: string): string {
    let id = typeof given === 'string' && given !== '' ? readSignedId(given).id : placedId(message, call, 0)
    for (let salt = 1; this.#used.has(id); salt++) id = placedId(message, call, salt)
    this.#used.add(id)
    this.#waiting.push({ id, given, name })
    return id
  }

  /** Removes the call that a result belongs to: by id, otherwise the oldest open one of that name, otherwise the oldest. */
  answer(given: unknown, name: string | undefined): { id: string; name: string } | undefined {
    let index = -1
    if (typeof given === 'string' && given !== '')
      index = this.#waiting.findIndex((call) => call.given === given)
    if (index === -1 && name) index = this.#waiting.findIndex((call) => call.name === name)
    return this.#waiting.splice(Math.max(index, 0), 1)[0]
  }
}

function placedId(message: number, call: number, salt: number): string {
  const hash = createHash('sha256').update(`${message}.${call}.${salt}`).digest('hex')
  return `call_${hash.slice(0, 24)}`
}

/** Ollama's images are bare base64 without a media type, so the first bytes must tell. Throws `bad_request`. */
export function readImage(text: string, param: string): ImagePart {
  const data = standardBase64(text.startsWith('data:') ? text.slice(text.indexOf(',') + 1) : text)
  const mediaType = data === undefined ? undefined : mediaTypeOf(data)
  if (data === undefined || mediaType === undefined) {
    throw badRequest(`${param} must be a JPEG, PNG, GIF or WebP image in base64`, param)
  }
  return { type: 'image', source: { kind: 'base64', mediaType, data } }
}

/** The bare base64 that Ollama expects. Throws `bad_request` for a URL, because Ollama does not fetch images. */
export function writeImage(part: ImagePart, param: string): string {
  const { source } = part
  if (source.kind === 'base64') return source.data
  const inline = /^data:[^,]*;base64,/i.exec(source.url)
  const data = inline ? standardBase64(source.url.slice(inline[0].length)) : undefined
  if (data !== undefined) return data
  throw badRequest(
    `${param}: the upstream of this model cannot fetch images from an address; send the image as a base64 data URL`,
    param,
  )
}

/** Base64url and line breaks are made standard; undefined where there are other characters, or none. */
function standardBase64(text: string): string | undefined {
  const data = text.replaceAll(/\s+/g, '').replaceAll('-', '+').replaceAll('_', '/')
  // Searching for an invalid character needs no backtracking, however large the image.
  return data === '' || /[^A-Za-z0-9+/=]/.test(data) ? undefined : data
}

function mediaTypeOf(base64: string): string | undefined {
  const head = Buffer.from(base64.slice(0, 16), 'base64').toString('latin1')
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg'
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png'
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'image/gif'
  if (head.startsWith('RIFF') && head.slice(8) === 'WEBP') return 'image/webp'
  return undefined
}
