import { type JsonObject, present } from '../../lib/json/read.ts'
import type { ImagePart, UserPart } from '../../sdk/chat.ts'
import type { Lose } from '../../sdk/dialect.ts'
import { badRequest, type RouterError } from '../../sdk/errors.ts'

/**
 * The blocks of a user turn or a tool result. Throws `bad_request` with `place` for parts that Anthropic cannot read.
 * Format: Anthropic API reference, "Create a Message", content blocks.
 */
export function writeParts(parts: readonly UserPart[], place: string, lose: Lose): JsonObject[] {
  return parts.flatMap((part) => writePart(part, place, lose))
}

function writePart(part: UserPart, place: string, lose: Lose): JsonObject[] {
  switch (part.type) {
    case 'text':
      return writeTexts([part.text])
    case 'image':
      return [writeImage(part, place, lose)]
    case 'file':
      return [writeFile(part, place)]
    case 'audio':
      throw refused(place, 'takes no audio')
  }
}

/** Blank text is an error there, and would be one again in every later turn. */
export function writeTexts(texts: readonly string[]): JsonObject[] {
  return texts.filter((text) => text.trim() !== '').map((text) => ({ type: 'text', text }))
}

function writeImage({ source, detail }: ImagePart, place: string, lose: Lose): JsonObject {
  if (detail !== undefined && detail !== 'auto') {
    lose('image_url.detail', 'Anthropic has one resolution for images')
  }
  if (source.kind === 'url') {
    if (source.url.startsWith('https://')) return { type: 'image', source: { type: 'url', url: source.url } }
    throw refused(place, 'fetches images from https addresses only; send the image as a base64 data URL')
  }
  const mediaType = mediaTypeOf(source.data)
  if (mediaType === undefined) throw refused(place, 'takes JPEG, PNG, GIF and WebP images only')
  return { type: 'image', source: { type: 'base64', media_type: mediaType, data: source.data } }
}

/** What clients say is often wrong, and a wrong type is an error there: the first bytes tell. */
function mediaTypeOf(base64: string): string | undefined {
  const head = Buffer.from(base64.slice(0, 16), 'base64').toString('latin1')
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg'
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png'
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'image/gif'
  return head.startsWith('RIFF') && head.slice(8) === 'WEBP' ? 'image/webp' : undefined
}

const dataUrl = /^data:([^;,]*)[^,]*;base64,/i
/** The first bytes of every PDF, `%PDF-`, as base64 shows them. */
const pdfStart = 'JVBERi'

function writeFile(part: { data?: string; name?: string }, place: string): JsonObject {
  if (part.data === undefined) throw refused(place, 'knows no file ids; send the data of the file')
  const head = dataUrl.exec(part.data.slice(0, 256))
  const data = head ? part.data.slice(head[0].length) : part.data
  const title = present({ title: part.name })
  if (data.startsWith(pdfStart)) {
    return { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data }, ...title }
  }
  if (head?.[1]?.toLowerCase().startsWith('text/')) {
    const text = Buffer.from(data, 'base64').toString('utf8')
    return { type: 'document', source: { type: 'text', media_type: 'text/plain', data: text }, ...title }
  }
  throw refused(place, 'reads PDF and plain text files only')
}

function refused(place: string, why: string): RouterError {
  return badRequest(`'${place}': the upstream of this model ${why}`, place)
}
