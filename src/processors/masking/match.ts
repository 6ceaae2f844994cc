/** A value that a finder has found in a text, from `start` up to `end`. */
export interface Match {
  readonly start: number
  readonly end: number
  readonly kind: string
  /** The value in the form in which all its spellings are alike. */
  readonly normal: string
}

/** Finds the values of one kind in a normalised text. */
export type Finder = (text: string) => Iterable<Match>

/** Matches in their order without overlaps: of two that share characters the longer one gives the kind, and both are covered. */
export function withoutOverlaps(matches: readonly Match[]): Match[] {
  const sorted = matches.toSorted((a, b) => a.start - b.start || b.end - a.end)
  const kept: Match[] = []
  for (const match of sorted) {
    const last = kept.at(-1)
    if (!last || match.start >= last.end) {
      kept.push(match)
    } else if (match.end > last.end) {
      const longer = match.end - match.start > last.end - last.start ? match : last
      kept[kept.length - 1] = { ...longer, start: last.start, end: match.end }
    }
  }
  return kept
}

/** Whether one of some words stands shortly before an offset. */
export function isNear(text: string, at: number, words: RegExp, reach = 40): boolean {
  return words.test(text.slice(Math.max(0, at - reach), at))
}
