/**
 * Makes ids in the form of a UUID, version 8 (RFC 9562, section 5.8): 74 random bits that stay the same for a process, and a
 * count. They are told apart as well as random ones, for a tenth of the time; they are no secret, and can be guessed.
 */
export function requestIds(randomBytes: (length: number) => Buffer): () => string {
  const random = randomBytes(10).toString('hex')
  const variant = '89ab'[Number.parseInt(random.charAt(11), 16) % 4]
  const process = `${random.slice(0, 8)}-${random.slice(8, 12)}-8${random.slice(12, 15)}-${variant}${random.slice(15, 18)}-`
  let count = 0
  return () => process + (count++).toString(16).padStart(12, '0')
}
