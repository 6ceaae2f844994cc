import { filledTextOf, isObject, type JsonObject, present } from '../../../lib/json/read.ts'
import type { AssistantPart, ImagePart, TextPart, UserPart } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { readCacheControl } from '../../shared/cache-control.ts'
import { readImageSource } from '../../shared/media.ts'
import { readAudioPart, requiredText } from '../../shared/message-parts.ts'

/** Content of `system` and `developer`: text only. */
export function readTextParts(content: unknown, path: string): TextPart[] {
  return readParts(content, path, readTextPart)
}

/**
 * Content of `user` and `tool`; for `tool`, parts other than text are an extension. Some clients (Cursor) send the parts and
 * tools of the Responses API.
 */
export function readUserParts(content: unknown, path: string): UserPart[] {
  return readParts<UserPart>(content, path, (part, at) => {
    switch (part.type) {
      case 'image_url':
      case 'input_image':
        return readImage(part, at)
      case 'input_audio':
        return readAudioPart(part.input_audio, `${at}.input_audio`)
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
      ? { type: 'refusal', text: requiredText(part.refusal, `${at}.refusal`) }
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
    return { ...read(part, at), ...readCacheControl(part) }
  })
}

function readTextPart(part: JsonObject, path: string): TextPart {
  if (part.type !== 'text' && part.type !== 'input_text' && part.type !== 'output_text') {
    throw badRequest(
      `'${path}.type' is a kind of content that this model's upstream does not support`,
      `${path}.type`,
    )
  }
  return { type: 'text', text: requiredText(part.text, `${path}.text`) }
}

/** Some clients send the URL itself instead of an object. */
function readImage(part: JsonObject, path: string): ImagePart {
  const image = isObject(part.image_url) ? part.image_url : { url: part.image_url }
  const at = `${path}.image_url.url`
  const url = requiredText(image.url, at)
  return {
    type: 'image',
    source: readImageSource(url, at),
    ...present({ detail: filledTextOf(image.detail ?? part.detail) }),
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
