/*
 * Vendors sign what their models think, and want the signature back with the call that followed. A client of another dialect has no
 * member for it, but returns the ids of tool calls as they are: there the signature travels.
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
