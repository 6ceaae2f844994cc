import { filledTextOf, isObject, type JsonObject, present, textOf } from '../../../lib/json/read.ts'
import type { AssistantPart, ImagePart, TextPart, UserPart } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { cacheMark } from '../../shared/cache-marks.ts'

/** Content of `system` and `developer`: text only. */
export function readTextParts(content: unknown, path: string): TextPart[] {
  return readParts(content, path, readTextPart)
}

/** Content of `user`, and of `tool`, where other parts than text are an extension. */
export function readUserParts(content: unknown, path: string): UserPart[] {
  return readParts<UserPart>(content, path, (part, at) => {
    switch (part.type) {
      case 'image_url':
        return readImage(part, at)
      case 'input_audio':
        return readAudio(part, at)
      case 'file':
        return readFile(part, at)
      default:
        return readTextPart(part, at)
    }
  })
}

export function readAssistantParts(content: unknown, path: string): AssistantPart[] {
  return readParts<AssistantPart>(content, path, (part, at) =>
    part.type === 'refusal'
      ? { type: 'refusal', text: required(part.refusal, `${at}.refusal`) }
      : readTextPart(part, at),
  )
}

function readParts<T>(
  content: unknown,
  path: string,
  read: (part: JsonObject, path: string) => T | TextPart,
): (T | TextPart)[] {
  if (content === '' || content === null || content === undefined) return []
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  if (!Array.isArray(content)) throw badRequest(`'${path}' must be a string or a list of content parts`, path)
  return content.map((part: unknown, index) => {
    const at = `${path}[${index}]`
    if (typeof part === 'string') return { type: 'text', text: part }
    if (!isObject(part)) throw badRequest(`'${at}' must be an object with a 'type'`, at)
    return { ...read(part, at), ...cacheMark(part) }
  })
}

function readTextPart(part: JsonObject, path: string): TextPart {
  if (part.type !== 'text') {
    throw badRequest(
      `'${path}.type' is a kind of content that this model's upstream does not support`,
      `${path}.type`,
    )
  }
  return { type: 'text', text: required(part.text, `${path}.text`) }
}

/** Some clients send the bare address instead of the object around it. */
function readImage(part: JsonObject, path: string): ImagePart {
  const image = isObject(part.image_url) ? part.image_url : { url: part.image_url }
  const at = `${path}.image_url.url`
  const url = required(image.url, at)
  return {
    type: 'image',
    source: readImageSource(url, at),
    ...present({ detail: filledTextOf(image.detail) }),
  }
}

function readImageSource(url: string, path: string): ImagePart['source'] {
  const scheme = url.slice(0, 8).toLowerCase()
  if (scheme.startsWith('http://') || scheme === 'https://') return { kind: 'url', url }
  const comma = scheme.startsWith('data:') ? url.indexOf(',') : -1
  const head = url.slice('data:'.length, Math.max(comma, 0)).toLowerCase()
  if (comma === -1 || !head.endsWith(';base64')) {
    throw badRequest(`'${path}' must be an http(s) address or a base64 data URL`, path)
  }
  const data = standardBase64(url.slice(comma + 1), path)
  const mediaType = head.split(';', 1)[0] || mediaTypeOf(data)
  return { kind: 'base64', mediaType, data }
}

/** RFC 4648: normalizes the URL-safe alphabet and missing padding, which Go and Python servers reject. */
function standardBase64(text: string, path: string): string {
  const plain = /[-_\s]/.test(text)
    ? text.replace(/\s+/g, '').replaceAll('-', '+').replaceAll('_', '/')
    : text
  const digits = plain.includes('=') ? plain.indexOf('=') : plain.length
  // One class, no repetition: a pattern that backtracks would run out of stack on an image of some megabytes.
  const foreign = /[^A-Za-z0-9+/=]/.test(plain) || plain.length - digits > 2
  if (digits === 0 || digits % 4 === 1 || foreign) throw badRequest(`'${path}' is not valid base64`, path)
  return plain.slice(0, digits).padEnd(Math.ceil(digits / 4) * 4, '=')
}

/** The first bytes of the four formats that vision models read, as base64 shows them. */
function mediaTypeOf(data: string): string {
  if (data.startsWith('/9j/')) return 'image/jpeg'
  if (data.startsWith('R0lGOD')) return 'image/gif'
  if (data.startsWith('UklGR')) return 'image/webp'
  return 'image/png'
}

function readAudio(part: JsonObject, path: string): UserPart {
  const audio = isObject(part.input_audio) ? part.input_audio : {}
  const at = `${path}.input_audio`
  return {
    type: 'audio',
    data: required(audio.data, `${at}.data`),
    format: required(audio.format, `${at}.format`),
  }
}

function readFile(part: JsonObject, path: string): UserPart {
  const file = isObject(part.file) ? part.file : {}
  const source = present({ data: filledTextOf(file.file_data), fileId: filledTextOf(file.file_id) })
  if (!source.data && !source.fileId) {
    throw badRequest(`'${path}.file' must have 'file_data' or 'file_id'`, `${path}.file`)
  }
  return { type: 'file', ...source, ...present({ name: filledTextOf(file.filename) }) }
}

function required(value: unknown, path: string): string {
  const text = textOf(value)
  if (text === undefined) throw badRequest(`'${path}' must be a string`, path)
  return text
}
