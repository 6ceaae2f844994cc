import type { Match } from './match.ts'

export interface Span {
  readonly start: number
  readonly end: number
}

/** Adjacent pieces of content as one text. Values are replaced across pieces, whose boundaries are preserved. */
export class JoinedText {
  text: string
  /** Offsets of the ends of the pieces. */
  #ends: number[]
  /** Ranges of inserted pseudonyms, in order. */
  #spans: Span[] = []

  constructor(pieces: readonly string[]) {
    this.text = pieces.join('')
    let end = 0
    this.#ends = pieces.map((piece) => {
      end += piece.length
      return end
    })
  }

  get pieces(): string[] {
    return this.#ends.map((end, index) => this.text.slice(this.#ends[index - 1] ?? 0, end))
  }

  /** End of the piece that contains the offset. */
  endOfPieceAt(offset: number): number {
    return this.#ends[firstIndex(this.#ends, (end) => end > offset)] ?? this.text.length
  }

  /** Whether a match overlaps an inserted pseudonym. */
  isTaken({ start, end }: Span): boolean {
    const next = this.#spans[firstIndex(this.#spans, (span) => span.end > start)]
    return next !== undefined && next.start < end
  }

  /**
   * Replaces each value with the pseudonym at the same index; that of a value which spans pieces goes into the first. `matches`:
   * in order, without overlaps.
   */
  replace(matches: readonly Match[], pseudonyms: readonly string[]): void {
    if (matches.length === 0) return
    let out = ''
    let from = 0
    const moves: { at: number; by: number; start: number; inserted: number }[] = []
    const inserted: Span[] = []
    for (const [index, match] of matches.entries()) {
      out += this.text.slice(from, match.start)
      const pseudonym = pseudonyms[index] ?? ''
      inserted.push({ start: out.length, end: out.length + pseudonym.length })
      moves.push({
        start: match.start,
        at: match.end,
        inserted: pseudonym.length,
        by: out.length + pseudonym.length - match.end,
      })
      out += pseudonym
      from = match.end
    }
    out += this.text.slice(from)
    const moved = (offset: number): number => {
      const next = firstIndex(moves, ({ at }) => at > offset)
      const move = moves[next]
      // Within a value: moves after its pseudonym, which belongs to the first piece.
      if (move && offset > move.start) return move.at + move.by
      return offset + (moves[next - 1]?.by ?? 0)
    }
    this.#ends = this.#ends.map(moved)
    const shifted = this.#spans.map(({ start, end }) => ({ start: moved(start), end: moved(end) }))
    this.#spans = [...shifted, ...inserted].sort((a, b) => a.start - b.start)
    this.text = out
  }
}

/** Binary search for the first item that satisfies the predicate; all items after it must satisfy it too. */
function firstIndex<Item>(list: readonly Item[], isTrue: (item: Item) => boolean): number {
  let [from, to] = [0, list.length]
  while (from < to) {
    const middle = (from + to) >> 1
    const item = list[middle]
    if (item !== undefined && isTrue(item)) to = middle
    else from = middle + 1
  }
  return from
}
