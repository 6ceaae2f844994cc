import { filledTextOf, isObject, type JsonObject, present } from '../../../lib/json/read.ts'
import type { AssistantPart, FilePart, ImagePart, TextPart, UserPart } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { readImageSource } from '../../shared/media.ts'
import { readAudioPart, requiredText, unknownPartText } from '../../shared/message-parts.ts'

/** Content of `system` and `developer`: text only. */
export function readTextParts(content: unknown, path: string): TextPart[] {
  return readParts(content, path, readText)
}

/** Content of `user`, and the output of a tool. */
export function readUserParts(content: unknown, path: string): UserPart[] {
  return readParts<UserPart>(content, path, (part, at) => {
    switch (part.type) {
      case 'input_image':
      case 'image_url':
        return readImage(part, at)
      case 'input_file':
        return readFile(part, at)
      case 'input_audio':
        return readAudioPart(isObject(part.input_audio) ? part.input_audio : part, `${at}.input_audio`)
      default:
        return readText(part, at)
    }
  })
}

export function readAssistantParts(content: unknown, path: string): AssistantPart[] {
  return readParts<AssistantPart>(content, path, (part, at) =>
    part.type === 'refusal'
      ? { type: 'refusal', text: requiredText(part.refusal, `${at}.refusal`) }
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

/** Reads `input_text` and `output_text` alike, because clients copy responses into the next input. */
function readText(part: JsonObject, path: string): TextPart {
  const { type } = part
  if (type !== 'input_text' && type !== 'output_text' && type !== 'text' && typeof part.text !== 'string') {
    return { type: 'text', text: unknownPartText(part) }
  }
  return { type: 'text', text: requiredText(part.text, `${path}.text`) }
}

/** The URL is a string in this dialect; some clients send the object of chat completions. */
function readImage(part: JsonObject, path: string): ImagePart {
  const at = `${path}.image_url`
  if (part.file_id !== undefined && part.file_id !== null && !part.image_url) {
    throw badRequest(
      'Uploaded files are not supported: send the image itself',
      `${path}.file_id`,
      'unsupported_parameter',
    )
  }
  const image = isObject(part.image_url) ? part.image_url : { url: part.image_url }
  const url = requiredText(image.url, at)
  return {
    type: 'image',
    source: readImageSource(url, at),
    ...present({ detail: filledTextOf(part.detail ?? image.detail) }),
  }
}

function readFile(part: JsonObject, path: string): FilePart {
  const url = filledTextOf(part.file_url)
  if (url !== undefined && !/^(?:https?:\/\/|data:)/i.test(url)) {
    throw badRequest(`'${path}.file_url' must be an http(s) URL or a data URL`, `${path}.file_url`)
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
