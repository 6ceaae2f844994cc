import { createHash } from 'node:crypto'
import { filledTextOf, isObject, type JsonObject } from '../../../lib/json/read.ts'
import type {
  AssistantMessage,
  ChatMessage,
  ImagePart,
  ToolCall,
  ToolMessage,
  UserPart,
} from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { Drop } from '../../../sdk/write-options.ts'
import { imageTypeOf, standardBase64 } from '../../shared/media.ts'
import { readSignedId } from '../../shared/signatures.ts'
import { CallIndex } from '../../shared/tools/call-ids.ts'
import { convertedArguments, historyArguments } from '../../shared/tools/tool-arguments.ts'

/** Reads the turns of a conversation; assigns an id to every tool call and a call to every result. Throws `bad_request`. */
export function readMessages(messages: readonly unknown[], drop: Drop): ChatMessage[] {
  const calls = new OpenCalls()
  return messages.map((message, index) => {
    const path = `messages[${index}]`
    if (!isObject(message)) throw badRequest(`${path} must be an object`, path)
    switch (typeof message.role === 'string' ? message.role.toLowerCase() : undefined) {
      case 'system':
        rejectImages(message, path)
        return {
          role: 'system',
          developer: false,
          parts: [{ type: 'text', text: contentOf(message, path) }],
        }
      case 'user':
        return { role: 'user', parts: userParts(message, path) }
      case 'assistant':
        rejectImages(message, path)
        return readAssistant(message, index, calls, drop)
      case 'tool':
        return readToolResult(message, path, calls)
      default:
        throw badRequest(`${path}.role must be system, user, assistant or tool`, `${path}.role`)
    }
  })
}

function contentOf(message: JsonObject, path: string): string {
  const content = message.content ?? ''
  if (typeof content === 'string') return content
  throw badRequest(`${path}.content must be a string`, `${path}.content`)
}

function userParts(message: JsonObject, path: string): UserPart[] {
  const text = contentOf(message, path)
  const images = imagesOf(message).map((image, index) => readImage(image, `${path}.images[${index}]`))
  return text === '' && images.length > 0 ? images : [{ type: 'text', text }, ...images]
}

function imagesOf(message: JsonObject): string[] {
  return Array.isArray(message.images) ? message.images.filter((image) => typeof image === 'string') : []
}

function rejectImages(message: JsonObject, path: string): void {
  if (imagesOf(message).length === 0) return
  throw badRequest(`${path}.images: only user and tool messages can hold images`, `${path}.images`)
}

function readAssistant(message: JsonObject, index: number, calls: OpenCalls, drop: Drop): AssistantMessage {
  const path = `messages[${index}]`
  const text = contentOf(message, path)
  const toolCalls = Array.isArray(message.tool_calls) ? message.tool_calls : []
  return {
    role: 'assistant',
    parts: text === '' ? [] : [{ type: 'text', text }],
    reasoning: typeof message.thinking === 'string' ? message.thinking : '',
    toolCalls: toolCalls.map((call: unknown, at): ToolCall => {
      const functionMember = isObject(call) ? call.function : undefined
      const param = `${path}.tool_calls[${at}].function`
      if (!isObject(call) || !isObject(functionMember) || typeof functionMember.name !== 'string') {
        throw badRequest(`${param} must be an object with a name`, param)
      }
      const { json, isConverted } = historyArguments(functionMember.arguments)
      if (isConverted) drop('messages.tool_calls.function.arguments', convertedArguments)
      const id = calls.add(index, at, call.id, functionMember.name)
      const { signature } = readSignedId(typeof call.id === 'string' ? call.id : '')
      return {
        id,
        name: functionMember.name,
        arguments: json,
        ...(signature === undefined ? {} : { signature }),
      }
    }),
  }
}

function readToolResult(message: JsonObject, path: string, calls: OpenCalls): ToolMessage {
  // Clients used `name` before Ollama introduced `tool_name`.
  const sentName = message.tool_name ?? message.name
  const name = typeof sentName === 'string' && sentName !== '' ? sentName : undefined
  const call = calls.answer(message.tool_call_id, name)
  if (!call) {
    throw badRequest(
      `${path} matches no tool call: no earlier call without a result has its tool_call_id or tool_name`,
      path,
    )
  }
  return { role: 'tool', callId: call.id, name: name ?? call.name, parts: userParts(message, path) }
}

/**
 * The tool calls of a conversation that have no result yet. Ollama's clients may omit ids in calls and results: ollama-js has
 * no `tool_call_id`, and other clients do not even send `tool_name`.
 */
class OpenCalls {
  readonly #used = new Set<string>()
  readonly #open = new CallIndex<{ id: string; name: string; answered: boolean }>()

  /**
   * The call's id, unique in the conversation. A generated one depends only on the position, so that a conversation gets the
   * same ids in every turn, and prompt caches stay valid.
   */
  add(message: number, call: number, sentId: unknown, name: string): string {
    let id =
      typeof sentId === 'string' && sentId !== '' ? readSignedId(sentId).id : positionalId(message, call, 0)
    for (let salt = 1; this.#used.has(id); salt++) id = positionalId(message, call, salt)
    this.#used.add(id)
    const opened = { id, name, answered: false }
    for (const key of ['all', `name ${name}`]) this.#open.add(key, opened)
    if (typeof sentId === 'string' && sentId !== '') this.#open.add(`id ${sentId}`, opened)
    else if (!sentId) for (const key of ['no id', `no id, name ${name}`]) this.#open.add(key, opened)
    return id
  }

  /**
   * Closes and returns the call that a result belongs to: the one with its id, else the oldest of its name. A result without a
   * name belongs to the oldest call, and one with an id never to a call with another id.
   */
  answer(sentId: unknown, name: string | undefined): { id: string; name: string } | undefined {
    const id = filledTextOf(sentId)
    const others = id === undefined ? 'all' : 'no id'
    const named = id === undefined ? `name ${name}` : `no id, name ${name}`
    const call =
      (id === undefined ? undefined : this.#open.oldestOpen(`id ${id}`)) ??
      this.#open.oldestOpen(name === undefined ? others : named)
    if (call) call.answered = true
    return call
  }
}

function positionalId(message: number, call: number, salt: number): string {
  const hash = createHash('sha256').update(`${message}.${call}.${salt}`).digest('hex')
  return `call_${hash.slice(0, 24)}`
}

/** Reads an image: base64 without a media type, which is detected from the first bytes. Throws `bad_request`. */
export function readImage(text: string, param: string): ImagePart {
  const data = standardBase64(text.startsWith('data:') ? text.slice(text.indexOf(',') + 1) : text)
  const mediaType = data === undefined ? undefined : imageTypeOf(data)
  if (data === undefined || mediaType === undefined) {
    throw badRequest(`${param} must be a JPEG, PNG, GIF or WebP image in base64`, param)
  }
  return { type: 'image', source: { kind: 'base64', mediaType, data } }
}

/** The plain base64 that Ollama expects. Throws `bad_request` for a URL, because Ollama does not fetch images. */
export function writeImage(part: ImagePart, param: string): string {
  const { source } = part
  if (source.kind === 'base64') return source.data
  const inline = /^data:[^,]*;base64,/i.exec(source.url)
  const data = inline ? standardBase64(source.url.slice(inline[0].length)) : undefined
  if (data !== undefined) return data
  throw badRequest(
    `${param}: the upstream of this model cannot fetch images from a URL; send the image as a base64 data URL`,
    param,
  )
}
