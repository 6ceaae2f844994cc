import { isObject, parseObject, textOf } from '../../lib/json/read.ts'

/*
 * After a tool call, Anthropic continues thinking only with reasoning that it has signed. In this dialect, the exact text and
 * its signature are carried in `encrypted_content`, which clients send back unchanged; the summary may be changed.
 */
const prefix = 'llm-router.1.'

export interface SealedReasoning {
  text: string
  signature: string
}

/** Encoded, not encrypted: the client has seen the text anyway, and only Anthropic can sign it. */
export function seal(reasoning: SealedReasoning): string {
  return prefix + Buffer.from(JSON.stringify(reasoning)).toString('base64url')
}

/** Undefined for content that the router did not encode. */
export function unseal(content: unknown): SealedReasoning | undefined {
  const sent = textOf(content)
  if (!sent?.startsWith(prefix)) return undefined
  const read = parseObject(Buffer.from(sent.slice(prefix.length), 'base64url').toString())
  const { text, signature } = isObject(read) ? read : {}
  return typeof text === 'string' && typeof signature === 'string' && signature !== ''
    ? { text, signature }
    : undefined
}
