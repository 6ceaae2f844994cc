/*
 * A client returns the signatures of thoughts as they are, whichever vendor made them; each vendor takes its own alone.
 */

/** Vendors other than Anthropic that sign thoughts; Anthropic's signatures have no prefix. */
type Signer = 'gemini'

/** The signature of a vendor's thoughts, as other dialects carry it. */
export function signedBy(signer: Signer, signature: string): string {
  return `${signer}:${signature}`
}

/** The vendor's own signature; undefined for another vendor's, which it would reject. */
export function signatureOf(signer: Signer | 'anthropic', signature: string | undefined): string | undefined {
  const found = signature === undefined ? undefined : /^(gemini):(.*)$/s.exec(signature)
  if (signer === 'anthropic') return found ? undefined : signature
  return found?.[1] === signer ? found[2] : undefined
}
