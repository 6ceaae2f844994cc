import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const cipher = 'aes-256-gcm'
const ivBytes = 12
const tagBytes = 16

/** Encrypts and authenticates cookie values, so they can be neither read nor changed. */
export interface Seal {
  seal(value: object): string
  /** Undefined unless encrypted with this secret for this purpose. */
  open(text: string): unknown
}

/** `purpose` separates keys, so that the value of one cookie is invalid in another. */
export function createSeal(secret: string, purpose: string): Seal {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `llm-router ${purpose}`, 32))
  return {
    seal(value) {
      const iv = randomBytes(ivBytes)
      const encrypt = createCipheriv(cipher, key, iv, { authTagLength: tagBytes })
      const text = Buffer.concat([encrypt.update(JSON.stringify(value)), encrypt.final()])
      return Buffer.concat([iv, encrypt.getAuthTag(), text]).toString('base64url')
    },
    open(text) {
      const bytes = Buffer.from(text, 'base64url')
      // Unused bits of the last base64url character must not allow several spellings of one value.
      if (bytes.length <= ivBytes + tagBytes || bytes.toString('base64url') !== text) return undefined
      const decrypt = createDecipheriv(cipher, key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes })
      decrypt.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes))
      try {
        const json =
          decrypt.update(bytes.subarray(ivBytes + tagBytes), undefined, 'utf8') + decrypt.final('utf8')
        return JSON.parse(json)
      } catch {
        return undefined
      }
    },
  }
}
