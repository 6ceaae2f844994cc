/** A value found in a text, from `start` (inclusive) to `end` (exclusive). */
export interface Match {
  readonly start: number
  readonly end: number
  readonly kind: string
  /** Normalised value: equal for all spellings. */
  readonly normal: string
}

/** Finds the values of one kind in a normalised text. */
export type Finder = (text: string) => Iterable<Match>

/** Matches in order, without overlaps: overlapping ones are merged, with the kind of the longer one. */
export function withoutOverlaps(matches: readonly Match[]): Match[] {
  const sorted = matches.toSorted((a, b) => a.start - b.start || b.end - a.end)
  const disjoint: Match[] = []
  for (const match of sorted) {
    const last = disjoint.at(-1)
    if (!last || match.start >= last.end) {
      disjoint.push(match)
    } else if (match.end > last.end) {
      const longer = match.end - match.start > last.end - last.start ? match : last
      disjoint[disjoint.length - 1] = { ...longer, start: last.start, end: match.end }
    }
  }
  return disjoint
}

/** Whether one of the words occurs shortly before an offset. */
export function isNear(text: string, at: number, words: RegExp, reach = 40): boolean {
  return words.test(text.slice(Math.max(0, at - reach), at))
}
