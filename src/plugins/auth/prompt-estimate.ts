import type { JsonScan } from '../../lib/json/splice.ts'

const bytesPerToken = 4
/**
 * Tokens of the largest image that is not downscaled, or of one PDF page. Source: Anthropic API docs, "Vision" and "PDF
 * support".
 */
const imageTokens = 1_600
/** Bytes per PDF page, in base64. */
const pageBytes = 40_000
/** Bytes per token of an uploaded recording: about one token per 100 ms in common speech formats. */
const bytesPerUploadToken = 1_024

/** Base64 prefixes of media: JPEG, PNG, GIF, RIFF (WebP, WAV), PDF, MP3, Ogg, FLAC. */
const mediaHeads = ['/9j/', 'iVBORw0KGgo', 'R0lGOD', 'UklGR', 'JVBERi', 'SUQz', 'T2dnUw', 'ZkxhQ']
const pdfHead = 'JVBERi'
/** Fits `data:image/svg+xml;charset=utf-8;base64,` and the longest prefix above. */
const headBytes = 80

/**
 * Estimates the prompt tokens of a request body without parsing it: one per 4 bytes, and a fixed price for images,
 * recordings and PDF pages, whose size says little about their tokens.
 */
export function estimatePromptTokens(bytes: Buffer, { long }: Pick<JsonScan, 'long'>): number {
  let textBytes = bytes.length
  let tokens = 0
  for (const { start, end } of long) {
    const price = mediaTokens(bytes, start + 1, end - 1)
    if (price === undefined) continue
    textBytes -= end - start
    tokens += price
  }
  return tokens + textTokens(textBytes)
}

export function textTokens(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken)
}

export function uploadTokens(bytes: number): number {
  return Math.ceil(bytes / bytesPerUploadToken)
}

/** Undefined if the string is text. */
function mediaTokens(bytes: Buffer, start: number, end: number): number | undefined {
  // JSON may escape "/" as "\/".
  const head = bytes.toString('latin1', start, Math.min(end, start + headBytes)).replaceAll('\\/', '/')
  const content = head.replace(/^data:[^,]*;base64,/i, '')
  if (!mediaHeads.some((each) => content.startsWith(each))) return undefined
  return content.startsWith(pdfHead) ? Math.ceil((end - start) / pageBytes) * imageTokens : imageTokens
}
