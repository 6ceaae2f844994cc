/*
 * Vendors sign what their models think, and want the signature back with the turn. A client of another dialect has no member for it,
 * but repeats the ids of tool calls and the signatures of its own dialect as they are: there a foreign one travels.
 */

const mark = '__sig_'

/** An id of a tool call with the signature that belongs to the call; letters, digits, `_` and `-` as all vendors take them. */
export function signedCallId(id: string, signature: string | undefined): string {
  if (signature === undefined) return id
  const bytes = Buffer.from(signature, 'base64')
  const isBase64 = bytes.toString('base64') === signature
  const text = isBase64 ? bytes : Buffer.from(signature)
  return `${id}${mark}${isBase64 ? 'b' : 't'}${text.toString('base64url')}`
}

/** The id and the signature of {@link signedCallId}. */
export function readCallId(signed: string): { id: string; signature: string | undefined } {
  const at = signed.indexOf(mark)
  if (at === -1) return { id: signed, signature: undefined }
  const kind = signed[at + mark.length]
  const bytes = Buffer.from(signed.slice(at + mark.length + 1), 'base64url')
  return { id: signed.slice(0, at), signature: bytes.toString(kind === 'b' ? 'base64' : 'utf8') }
}

/** Vendors whose signatures stand for thoughts beside Anthropic, whose own have no mark. */
type Signer = 'gemini'

/** The signature of a vendor's thoughts, as other dialects carry it. */
export function signedBy(signer: Signer, signature: string): string {
  return `${signer}:${signature}`
}

/** The vendor's own signature; undefined for that of another one, which would be an error there. */
export function signatureOf(signer: Signer | 'anthropic', signature: string | undefined): string | undefined {
  const found = signature === undefined ? undefined : /^(gemini):(.*)$/s.exec(signature)
  if (signer === 'anthropic') return found ? undefined : signature
  return found?.[1] === signer ? found[2] : undefined
}
