import { parseCarried } from '../../../lib/json/exact.ts'
import { isObject, type JsonObject } from '../../../lib/json/read.ts'
import type { Edit } from '../../../lib/json/splice.ts'
import type { PassthroughRequest } from '../../../sdk/dialect.ts'
import { foreignPrefix, signatureFor } from '../../shared/signatures.ts'

export const unsignedNotice =
  'reasoning without a signature of Anthropic was removed because Anthropic rejects it'

/**
 * Edits that remove thinking with an empty or another vendor's signature from a forwarded request. It comes from a server of
 * another dialect, and Anthropic rejects the whole conversation because of it.
 */
export function unsignedThinkingEdits({ bytes, scan }: Pick<PassthroughRequest, 'bytes' | 'scan'>): Edit[] {
  return scan.members.flatMap(({ key, valueStart: start, valueEnd: end }) => {
    if (key !== 'messages' || !mayHaveUnsigned(bytes.subarray(start, end))) return []
    const sent = parseCarried(bytes.toString('utf8', start, end))
    if (!Array.isArray(sent) || !sent.some(hasUnsigned)) return []
    return [{ start, end, text: JSON.stringify(sent.flatMap(withoutUnsigned)) }]
  })
}

/** Avoids parsing the messages of most requests. */
function mayHaveUnsigned(messages: Buffer): boolean {
  return unsignedPatterns.some((pattern) => messages.indexOf(pattern) !== -1)
}

const unsignedPatterns = ['"', foreignPrefix].flatMap((begin) => [
  `"signature":"${begin}`,
  `"signature": "${begin}`,
])

function contentOf(message: unknown): unknown[] {
  return isObject(message) && Array.isArray(message.content) ? message.content : []
}

function isUnsigned(block: unknown): boolean {
  return isObject(block) && block.type === 'thinking' && isForeign(block.signature)
}

function isForeign(signature: unknown): boolean {
  return typeof signature === 'string' && !signatureFor('anthropic', signature)
}

function hasUnsigned(message: unknown): boolean {
  return contentOf(message).some(isUnsigned)
}

/** A turn without remaining content is removed, because empty turns are errors too. */
function withoutUnsigned(message: unknown): JsonObject[] {
  if (!isObject(message)) return []
  if (!hasUnsigned(message)) return [message]
  const content = contentOf(message).filter((block) => !isUnsigned(block))
  return content.length === 0 ? [] : [{ ...message, content }]
}
