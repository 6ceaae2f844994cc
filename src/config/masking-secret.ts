import { randomBytes } from 'node:crypto'

const prefix = 'made:'

/** Generates a secret that is valid until the next restart, recognizable as not configured. */
export function generatedSecret(): string {
  return prefix + randomBytes(32).toString('hex')
}

export function isGeneratedSecret(secret: string): boolean {
  return secret.startsWith(prefix)
}
