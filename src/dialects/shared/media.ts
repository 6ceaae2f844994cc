import { present } from '../../lib/json/read.ts'
import type { FilePart, ImagePart } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'

/** The source of an image from an http(s) URL or a base64 data URL. Throws `bad_request` with `path` for anything else. */
export function readImageSource(url: string, path: string): ImagePart['source'] {
  if (/^https?:\/\//i.test(url)) return { kind: 'url', url }
  const inline = readDataUrl(url)
  if (!inline) throw badRequest(`'${path}' must be an http(s) URL or a base64 data URL`, path)
  const data = standardBase64(inline.data)
  if (data === undefined) throw badRequest(`'${path}' is not valid base64`, path)
  return { kind: 'base64', mediaType: inline.mediaType || (imageTypeOf(data) ?? 'image/png'), data }
}

/** The URL of an image; base64 as a data URL. */
export function imageUrl(source: ImagePart['source']): string {
  return source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`
}

/** The parts of a base64 data URL (RFC 2397); `mediaType` is in lower case, and empty if there is none. */
export function readDataUrl(url: string): { mediaType: string; data: string } | undefined {
  const head = /^data:([^;,]*)(?:;[^;,]*)*;base64,/i.exec(url.slice(0, 256))
  return head ? { mediaType: head[1]?.toLowerCase() ?? '', data: url.slice(head[0].length) } : undefined
}

/**
 * Base64 in the standard alphabet with padding (RFC 4648, section 4), from that or the URL-safe alphabet, with or without
 * padding and white space: Go and Python servers reject the other forms. Undefined for anything else.
 */
export function standardBase64(text: string): string | undefined {
  const plain = /[-_\s]/.test(text)
    ? text.replace(/\s+/g, '').replaceAll('-', '+').replaceAll('_', '/')
    : text
  const length = plain.includes('=') ? plain.indexOf('=') : plain.length
  // Without repetition, because a pattern that backtracks runs out of stack on an image of some megabytes.
  const isForeign = /[^A-Za-z0-9+/]/.test(plain.slice(0, length)) || !/^={0,2}$/.test(plain.slice(length))
  if (length === 0 || length % 4 === 1 || isForeign) return undefined
  return plain.slice(0, length).padEnd(Math.ceil(length / 4) * 4, '=')
}

/** The media type of an image by its first bytes; undefined unless it is one of the four that vision models accept. */
export function imageTypeOf(base64: string): string | undefined {
  const head = Buffer.from(base64.slice(0, 16), 'base64').toString('latin1')
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg'
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png'
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'image/gif'
  return head.startsWith('RIFF') && head.slice(8) === 'WEBP' ? 'image/webp' : undefined
}

/** The first bytes of every PDF, `%PDF`, in base64. */
export const pdfStart = 'JVBERi'

/**
 * The data of a file as OpenAI's APIs accept it: as a data URL, and only together with a name. Anthropic's documents and Gemini's
 * files may lack one. Source: OpenAI API, error `Missing required parameter: ....file.file_id` for data without a name.
 */
export function openaiFile({ data, name }: FilePart): { file_data?: string; filename?: string } {
  if (data === undefined) return present({ filename: name })
  const isBarePdf = data.startsWith(pdfStart)
  const mediaType = isBarePdf ? 'application/pdf' : readDataUrl(data)?.mediaType
  return {
    file_data: isBarePdf ? `data:${mediaType};base64,${data}` : data,
    filename: name ?? (mediaType === 'application/pdf' ? 'document.pdf' : 'document'),
  }
}
