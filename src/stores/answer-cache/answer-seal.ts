import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

const version = 1
const saltBytes = 16
const tagBytes = 16
const ivBytes = 12
const headBytes = 1 + saltBytes + tagBytes

/**
 * Encrypts responses with AES-256-GCM for an external store. Each response has a key of its own, derived from the secret and a
 * random salt, so that the number of responses per secret is not limited (for one key with random initialization vectors it is,
 * by NIST SP 800-38D, section 8.3). The name of the entry is authenticated, so that responses cannot be swapped.
 */
export class AnswerSeal {
  readonly #key: Buffer

  constructor(secret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'llm-router answers: encryption', 32))
  }

  seal(answer: string, name: string): Buffer {
    const salt = randomBytes(saltBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#keyOf(salt), noVector).setAAD(Buffer.from(name))
    const encrypted = Buffer.concat([cipher.update(answer, 'utf8'), cipher.final()])
    return Buffer.concat([Buffer.of(version), salt, cipher.getAuthTag(), encrypted])
  }

  /** Decrypts a response; undefined if it was not encrypted with this secret under this name. */
  open(sealed: Buffer, name: string): string | undefined {
    if (sealed.length < headBytes || sealed[0] !== version) return undefined
    const salt = sealed.subarray(1, 1 + saltBytes)
    const tag = sealed.subarray(1 + saltBytes, headBytes)
    const options = { authTagLength: tagBytes }
    const cipher = createDecipheriv('aes-256-gcm', this.#keyOf(salt), noVector, options)
    cipher.setAAD(Buffer.from(name)).setAuthTag(tag)
    try {
      return cipher.update(sealed.subarray(headBytes), undefined, 'utf8') + cipher.final('utf8')
    } catch {
      return undefined // forged, or encrypted with another secret
    }
  }

  #keyOf(salt: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(salt).digest()
  }
}

/** A key that is used only once needs no random initialization vector. */
const noVector = Buffer.alloc(ivBytes)
