import { isObject, parseObject, textOf } from '../../lib/json/read.ts'

/*
 * after a tool call, Anthropic continues thinking only with reasoning that it has signed. In Responses they travel in
 * `encrypted_content`, which clients send back unread: the exact thought, as its summary may be changed, and its signature.
 */
const mark = 'llm-router.1.'

export interface SealedThoughts {
  text: string
  signature: string
}

/** Not encrypted: the client has seen the thought anyway, and only its maker can sign it. */
export function seal(thoughts: SealedThoughts): string {
  return mark + Buffer.from(JSON.stringify(thoughts)).toString('base64url')
}

/** Undefined for content of another origin. */
export function unseal(content: unknown): SealedThoughts | undefined {
  const sent = textOf(content)
  if (!sent?.startsWith(mark)) return undefined
  const read = parseObject(Buffer.from(sent.slice(mark.length), 'base64url').toString())
  const { text, signature } = isObject(read) ? read : {}
  return typeof text === 'string' && typeof signature === 'string' && signature !== ''
    ? { text, signature }
    : undefined
}
