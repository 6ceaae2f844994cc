import { randomBytes } from 'node:crypto'

const mark = 'made:'

/** A secret for this start, distinguishable from a configured one. */
export function madeSecret(): string {
  return mark + randomBytes(32).toString('hex')
}

export function isMadeSecret(secret: string): boolean {
  return secret.startsWith(mark)
}
