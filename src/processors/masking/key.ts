import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

const proofMark = 'lrm1'
const tagBytes = 16

/** Keys of one client: for its pseudonyms, and for the authentication of the proofs that it sends back. */
export interface MaskingKey {
  readonly bytes: Buffer
  sealProof(opened: { json: string; proof: string }): string
  openProof(sealed: string): { json: string; proof: string } | undefined
}

/** `client` makes the pseudonyms of one client meaningless to another. */
export function maskingKey(secret: string, client: string): MaskingKey {
  const derived = (purpose: string): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, client, `llm-router ${purpose}`, 32))
  const bytes = derived('masking')
  const proofs = derived('masking proofs')
  const tagOf = (text: Buffer): Buffer =>
    createHmac('sha256', proofs).update(text).digest().subarray(0, tagBytes)
  return {
    bytes,
    sealProof({ json, proof }) {
      const text = Buffer.from(JSON.stringify([json, proof]))
      return Buffer.concat([Buffer.from(proofMark), tagOf(text), text]).toString('base64')
    },
    openProof(sealed) {
      const all = Buffer.from(sealed, 'base64')
      if (all.toString('latin1', 0, proofMark.length) !== proofMark) return undefined
      const tag = all.subarray(proofMark.length, proofMark.length + tagBytes)
      const text = all.subarray(proofMark.length + tagBytes)
      if (tag.length !== tagBytes || !timingSafeEqual(tag, tagOf(text))) return undefined
      const [json, proof]: unknown[] = JSON.parse(text.toString())
      return typeof json === 'string' && typeof proof === 'string' ? { json, proof } : undefined
    },
  }
}
