/**
 * Vectors as base64 of their float32 values, little-endian, four bytes each. Source: OpenAI API reference, "Create
 * embeddings", `encoding_format`.
 */
export function vectorToBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes.toString('base64')
}

/** Undefined if the text is not base64 of float32 values. */
export function vectorFromBase64(text: string): number[] | undefined {
  if (text.length % 4 !== 0 || /[^A-Za-z0-9+/=]/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length % 4 !== 0) return undefined
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
}

/** The vector scaled to length 1. A zero vector is returned unchanged. */
export function unitVector(vector: readonly number[]): readonly number[] {
  const length = norm(vector)
  if (length === 0 || Math.abs(length - 1) < 1e-6) return vector
  return vector.map((value) => value / length)
}

function norm(vector: readonly number[]): number {
  let sum = 0
  for (const value of vector) sum += value * value
  return Math.sqrt(sum)
}
