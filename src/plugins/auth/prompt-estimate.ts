import type { JsonScan } from '../../lib/json/splice.ts'

const bytesPerToken = 4
/** An image of the largest size that is not shrunk, or a page of a PDF. Source: Anthropic API docs, "Vision" and "PDF support". */
const imageTokens = 1_600
/** Of a PDF, in base64. */
const pageBytes = 40_000
/** Of a form with a recording: about a token for a tenth of a second, in the formats that are usual for speech. */
const bytesPerUploadToken = 1_024

/** How media begins in base64: JPEG, PNG, GIF, RIFF (WebP, WAV), PDF, MP3, Ogg, FLAC. */
const mediaHeads = ['/9j/', 'iVBORw0KGgo', 'R0lGOD', 'UklGR', 'JVBERi', 'SUQz', 'T2dnUw', 'ZkxhQ']
const pdfHead = 'JVBERi'
/** `data:image/svg+xml;charset=utf-8;base64,` and the longest of the above fit in. */
const headBytes = 80

/**
 * Tokens of the prompt in a request body, estimated without reading it: one for 4 bytes, and a fixed price for images,
 * recordings and pages of PDFs, whose bytes say little about their tokens.
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

/** Undefined: it is text. */
function mediaTokens(bytes: Buffer, start: number, end: number): number | undefined {
  // JSON may write "/" as "\/".
  const head = bytes.toString('latin1', start, Math.min(end, start + headBytes)).replaceAll('\\/', '/')
  const content = head.replace(/^data:[^,]*;base64,/i, '')
  if (!mediaHeads.some((each) => content.startsWith(each))) return undefined
  return content.startsWith(pdfHead) ? Math.ceil((end - start) / pageBytes) * imageTokens : imageTokens
}
