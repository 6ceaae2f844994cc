import type { ImagePart } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'

/** Ollama's images are bare base64 without a media type, so the first bytes must tell. Throws `bad_request`. */
export function readImage(text: string, param: string): ImagePart {
  const data = standardBase64(text.startsWith('data:') ? text.slice(text.indexOf(',') + 1) : text)
  const mediaType = data === undefined ? undefined : mediaTypeOf(data)
  if (data === undefined || mediaType === undefined) {
    throw badRequest(`${param} must be a JPEG, PNG, GIF or WebP image in base64`, param)
  }
  return { type: 'image', source: { kind: 'base64', mediaType, data } }
}

/** The bare base64 that Ollama takes. Throws `bad_request` for an address: Ollama's server fetches none. */
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
  // A search for what must not be there needs no backtracking, however large the image.
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
