import { filledTextOf, isObject, type JsonObject } from '../../lib/json/read.ts'
import type { ChatRequest, ToolCall } from '../../sdk/chat.ts'
import type { Drop } from '../../sdk/dialect.ts'

/*
 * Gemini signs its thoughts at the call that they led to, and refuses the next turn without that signature. Other dialects
 * have no member for it, and clients keep no state for the router; what every client hands back is the id of the call.
 */

/** Separator between an id and its signature; no vendor uses it in ids. */
const mark = '__thought_'

/** The id of a call as a client gets it: with its signature, in characters that every dialect allows in an id. */
export function signedId({ id, signature }: Pick<ToolCall, 'id' | 'signature'>): string {
  return signature === undefined ? id : `${id}${mark}${Buffer.from(signature).toString('base64url')}`
}

/** The id and signature in an id returned by a client. */
export function readSignedId(sent: string): { id: string; signature?: string } {
  const at = sent.lastIndexOf(mark)
  if (at === -1) return { id: sent }
  const signature = Buffer.from(sent.slice(at + mark.length), 'base64url').toString()
  return { id: sent.slice(0, at), ...(signature === '' ? {} : { signature }) }
}

/** The signature that Gemini's OpenAI endpoint puts into a call, and proxies in front of Gemini. */
export function signatureIn(call: JsonObject): string | undefined {
  const { extra_content: extra, provider_specific_fields: fields } = call
  const google = isObject(extra) && isObject(extra.google) ? extra.google : undefined
  return (
    filledTextOf(google?.thought_signature) ??
    filledTextOf(isObject(fields) ? fields.thought_signature : undefined)
  )
}

/** For servers that are not Gemini. */
export function reportSignatures({ messages }: ChatRequest, drop: Drop): void {
  const isSigned = messages.some(
    (message) =>
      message.role === 'assistant' && message.toolCalls.some(({ signature }) => signature !== undefined),
  )
  if (isSigned)
    drop('messages.tool_calls.extra_content', 'the signature of a thought is useless to another server')
}
