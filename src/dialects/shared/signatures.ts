import { filledTextOf, isObject, type JsonObject } from '../../lib/json/read.ts'
import type { ChatRequest, ToolCall } from '../../sdk/chat.ts'
import type { Drop } from '../../sdk/write-options.ts'

/*
 * Clients send the signatures of reasoning back unchanged, whichever vendor issued them; each vendor accepts only its own.
 *
 * Gemini signs its reasoning at the tool call that follows it, and rejects the next turn without that signature. Other
 * dialects have no member for it, so it travels in the id of the call, which every client sends back.
 */

/** Vendors other than Anthropic that sign reasoning; Anthropic's signatures have no prefix. */
type Signer = 'gemini'

/** A vendor's signature as other dialects carry it. */
export function tagSignature(signer: Signer, signature: string): string {
  return `${signer}:${signature}`
}

/** The vendor's own signature; undefined for another vendor's, which it would reject. */
export function signatureFor(
  signer: Signer | 'anthropic',
  signature: string | undefined,
): string | undefined {
  const found = signature === undefined ? undefined : /^(gemini):(.*)$/s.exec(signature)
  if (signer === 'anthropic') return found ? undefined : signature
  return found?.[1] === signer ? found[2] : undefined
}

/** How the signature of another vendor than Anthropic begins. */
export const foreignPrefix = 'gemini:'

/** Separates an id from its signature; no vendor uses it in ids. */
const separator = '__thought_'

/** The id of a call with its signature, in characters that every dialect allows in an id. */
export function writeSignedId({ id, signature }: Pick<ToolCall, 'id' | 'signature'>): string {
  return signature === undefined ? id : `${id}${separator}${Buffer.from(signature).toString('base64url')}`
}

/** Splits an id that a client sent back into id and signature. */
export function readSignedId(sent: string): { id: string; signature?: string } {
  const at = sent.lastIndexOf(separator)
  if (at === -1) return { id: sent }
  const signature = Buffer.from(sent.slice(at + separator.length), 'base64url').toString()
  return { id: sent.slice(0, at), ...(signature === '' ? {} : { signature }) }
}

/** The signature in a call of Gemini's OpenAI endpoint, or of a proxy in front of Gemini. */
export function readCallSignature(call: JsonObject): string | undefined {
  const { extra_content: extra, provider_specific_fields: fields } = call
  const google = isObject(extra) && isObject(extra.google) ? extra.google : undefined
  return (
    filledTextOf(google?.thought_signature) ??
    filledTextOf(isObject(fields) ? fields.thought_signature : undefined)
  )
}

/** Reports signatures as dropped, for servers other than Gemini. */
export function reportSignatures({ messages }: ChatRequest, drop: Drop): void {
  const isSigned = messages.some(
    (message) =>
      message.role === 'assistant' && message.toolCalls.some(({ signature }) => signature !== undefined),
  )
  if (isSigned)
    drop(
      'messages.tool_calls.extra_content',
      'a signature of reasoning is valid only for the vendor that issued it',
    )
}
