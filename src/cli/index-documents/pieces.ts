export interface PieceSizes {
  /** Longest piece, in characters. */
  readonly size: number
  /** Overlap of consecutive pieces in characters; less than `size`. */
  readonly overlap: number
}

/** Preferred split points: between paragraphs, then lines, sentences, words. */
const cuts = [/\n\s*\n/g, /\n/g, /(?<=[.!?…])\s+/g, /\s+/g]

/** Cuts a text into pieces that can be found on their own. None is longer than the size, and none cuts a word that is shorter. */
export function piecesOf(text: string, { size, overlap }: PieceSizes): string[] {
  const pieces: string[] = []
  let from = 0
  while (from < text.length) {
    const rest = text.slice(from, from + size)
    const end = from + rest.length >= text.length ? text.length : from + bestCut(rest)
    const piece = text.slice(from, end).trim()
    if (piece !== '') pieces.push(piece)
    if (end >= text.length) break
    from = Math.max(from + 1, startOfOverlap(text, end, overlap))
  }
  return pieces
}

/** In the second half of a piece, so that none becomes too short. */
function bestCut(text: string): number {
  for (const cut of cuts) {
    const last = [...text.matchAll(cut)].findLast(({ index }) => index > text.length / 2)
    if (last) return last.index + last[0].length
  }
  // Not within a surrogate pair.
  return /[\uD800-\uDBFF]$/.test(text) ? text.length - 1 : text.length
}

/** At the beginning of a word. */
function startOfOverlap(text: string, end: number, overlap: number): number {
  if (overlap === 0) return end
  const from = Math.max(0, end - overlap)
  const space = text.slice(from, end).search(/\s/)
  return space === -1 ? end : from + space + 1
}
