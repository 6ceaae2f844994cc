import { filledTextOf, isObject, type JsonObject, present, textOf } from '../../../lib/json/read.ts'
import type { AssistantPart, FilePart, ImagePart, TextPart, UserPart } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'

/** Content of `system` and `developer`: text only. */
export function readTextParts(content: unknown, path: string): TextPart[] {
  return readParts(content, path, readText)
}

/** Content of `user`, and the output of a tool. */
export function readUserParts(content: unknown, path: string): UserPart[] {
  return readParts<UserPart>(content, path, (part, at) => {
    switch (part.type) {
      case 'input_image':
        return readImage(part, at)
      case 'input_file':
        return readFile(part, at)
      case 'input_audio':
        return readAudio(part, at)
      default:
        return readText(part, at)
    }
  })
}

export function readAssistantParts(content: unknown, path: string): AssistantPart[] {
  return readParts<AssistantPart>(content, path, (part, at) =>
    part.type === 'refusal'
      ? { type: 'refusal', text: required(part.refusal, `${at}.refusal`) }
      : readText(part, at),
  )
}

function readParts<T>(
  content: unknown,
  path: string,
  read: (part: JsonObject, path: string) => T | TextPart,
): (T | TextPart)[] {
  if (content === '') return []
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  if (!Array.isArray(content)) throw badRequest(`'${path}' must be a string or a list of parts`, path)
  return content.map((part: unknown, index) => {
    const at = `${path}[${index}]`
    if (!isObject(part)) throw badRequest(`'${at}' must be an object with a 'type'`, at)
    return read(part, at)
  })
}

/** Length from which an unknown part counts as data rather than text, in UTF-16 units. */
const longestUnknown = 4_096

/**
 * Clients copy answers into the next input, and confuse the names that the two directions have for text. An unknown part is
 * carried as its text or its JSON: rejecting it would end the conversation for good.
 */
function readText(part: JsonObject, path: string): TextPart {
  const { type } = part
  if (type !== 'input_text' && type !== 'output_text' && type !== 'text' && typeof part.text !== 'string') {
    const json = JSON.stringify(part)
    return { type: 'text', text: json.length > longestUnknown ? `[${textOf(type) ?? 'content'}]` : json }
  }
  return { type: 'text', text: required(part.text, `${path}.text`) }
}

/** The address is a bare string here, where chat completions have an object around it; some clients send that too. */
function readImage(part: JsonObject, path: string): ImagePart {
  const at = `${path}.image_url`
  if (part.file_id !== undefined && part.file_id !== null && !part.image_url) {
    throw badRequest(
      'Uploaded files are not supported: send the image itself',
      `${path}.file_id`,
      'unsupported_parameter',
    )
  }
  const url = required(isObject(part.image_url) ? part.image_url.url : part.image_url, at)
  return { type: 'image', source: readSource(url, at), ...present({ detail: filledTextOf(part.detail) }) }
}

function readSource(url: string, path: string): ImagePart['source'] {
  if (/^https?:\/\//i.test(url)) return { kind: 'url', url }
  const head = /^data:([^,;]*)(?:;[^,;]*)*;base64,/i.exec(url.slice(0, 256))
  if (!head) throw badRequest(`'${path}' must be an http(s) address or a base64 data URL`, path)
  const data = standardBase64(url.slice(head[0].length))
  if (data === undefined) throw badRequest(`'${path}' is not valid base64`, path)
  return { kind: 'base64', mediaType: head[1]?.toLowerCase() || 'image/png', data }
}

/** RFC 4648: normalizes the URL-safe alphabet and missing padding, which Go and Python servers reject. */
function standardBase64(text: string): string | undefined {
  const digits = text
    .replace(/\s/g, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replace(/={1,2}$/, '')
  if (digits === '' || digits.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(digits)) return undefined
  return digits.padEnd(Math.ceil(digits.length / 4) * 4, '=')
}

function readFile(part: JsonObject, path: string): FilePart {
  const url = filledTextOf(part.file_url)
  if (url !== undefined && !/^(?:https?:\/\/|data:)/i.test(url)) {
    throw badRequest(`'${path}.file_url' must be an http(s) address or a data URL`, `${path}.file_url`)
  }
  const isData = url !== undefined && /^data:/i.test(url)
  const source = present({
    data: filledTextOf(part.file_data) ?? (isData ? url : undefined),
    url: isData ? undefined : url,
    fileId: filledTextOf(part.file_id),
  })
  if (!source.data && !source.url && !source.fileId) {
    throw badRequest(`'${path}' must have 'file_data', 'file_url' or 'file_id'`, path)
  }
  return { type: 'file', ...source, ...present({ name: filledTextOf(part.filename) }) }
}

function readAudio(part: JsonObject, path: string): UserPart {
  const audio = isObject(part.input_audio) ? part.input_audio : part
  const at = `${path}.input_audio`
  return {
    type: 'audio',
    data: required(audio.data, `${at}.data`),
    format: required(audio.format, `${at}.format`),
  }
}

function required(value: unknown, path: string): string {
  const text = textOf(value)
  if (text === undefined) throw badRequest(`'${path}' must be a string`, path)
  return text
}
