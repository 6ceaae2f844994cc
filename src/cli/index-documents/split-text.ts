export interface ChunkSizes {
  /** Maximum length of a chunk, in characters. */
  readonly size: number
  /** Overlap of consecutive chunks in characters; less than `size`. */
  readonly overlap: number
}

/** Split points in order of preference: between paragraphs, lines, sentences, words. */
const separators = [/\n\s*\n/g, /\n/g, /(?<=[.!?…])\s+/g, /\s+/g]

/** Splits a text into overlapping chunks of at most `size` characters. Words are only split if they are longer than that. */
export function splitText(text: string, { size, overlap }: ChunkSizes): string[] {
  const chunks: string[] = []
  let from = 0
  while (from < text.length) {
    const rest = text.slice(from, from + size)
    const end = from + rest.length >= text.length ? text.length : from + splitPoint(rest)
    const chunk = text.slice(from, end).trim()
    if (chunk !== '') chunks.push(chunk)
    if (end >= text.length) break
    from = Math.max(from + 1, startOfOverlap(text, end, overlap))
  }
  return chunks
}

/** Returns where to split: in the second half, so that no chunk becomes too short. */
function splitPoint(text: string): number {
  for (const separator of separators) {
    const last = [...text.matchAll(separator)].findLast(({ index }) => index > text.length / 2)
    if (last) return last.index + last[0].length
  }
  // Not within a surrogate pair.
  return /[\uD800-\uDBFF]$/.test(text) ? text.length - 1 : text.length
}

/** Returns where the next chunk begins: at the start of a word. */
function startOfOverlap(text: string, end: number, overlap: number): number {
  if (overlap === 0) return end
  const from = Math.max(0, end - overlap)
  const space = text.slice(from, end).search(/\s/)
  return space === -1 ? end : from + space + 1
}
