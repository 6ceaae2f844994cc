import { filledTextOf, type JsonObject, textOf } from '../../../lib/json/read.ts'
import type { UserPart } from '../../../sdk/chat.ts'
import type { ReportField } from '../../shared/dropped-fields.ts'
import { standardBase64 } from '../../shared/media.ts'
import { textParts } from '../../shared/message-parts.ts'
import { memberOf, objectIn } from '../members.ts'

/** A part of a user turn that is neither call nor result. Parts without an equivalent are dropped. */
export function readUserPart(part: JsonObject, drop: ReportField): UserPart[] {
  const text = textOf(part.text)
  if (text !== undefined) return textParts(text)
  const data = objectIn(part, 'inlineData')
  if (data) return [readMedia(textOf(memberOf(data, 'mimeType')) ?? '', textOf(data.data) ?? '', data)]
  const file = objectIn(part, 'fileData')
  if (file) return [readFile(file)]
  drop(`contents.${Object.keys(part)[0] ?? 'parts'}`)
  return []
}

function readMedia(mediaType: string, base64: string, { displayName }: JsonObject): UserPart {
  // ProtoJSON accepts both base64 alphabets, other servers only the standard one.
  const data = standardBase64(base64) ?? base64
  if (mediaType.startsWith('image/')) return { type: 'image', source: { kind: 'base64', mediaType, data } }
  const format = audioFormat(mediaType)
  if (format !== undefined) return { type: 'audio', data, format }
  const name = filledTextOf(displayName)
  const type = mediaType === '' ? 'application/octet-stream' : mediaType
  return { type: 'file', data: `data:${type};base64,${data}`, ...(name === undefined ? {} : { name }) }
}

function audioFormat(mediaType: string): string | undefined {
  switch (mediaType.replace(/;.*$/, '')) {
    case 'audio/wav':
    case 'audio/x-wav':
      return 'wav'
    case 'audio/mp3':
    case 'audio/mpeg':
      return 'mp3'
    default:
      return undefined
  }
}

function readFile(file: JsonObject): UserPart {
  const url = textOf(memberOf(file, 'fileUri')) ?? ''
  const mediaType = textOf(memberOf(file, 'mimeType')) ?? ''
  const isImage =
    mediaType.startsWith('image/') || (mediaType === '' && /\.(?:png|jpe?g|gif|webp)$/i.test(url))
  if (isImage) return { type: 'image', source: { kind: 'url', url } }
  return /^https?:\/\//i.test(url) ? { type: 'file', url } : { type: 'file', fileId: url }
}
