import { distance } from 'fastest-levenshtein'

/** `; did you mean "ollama"?` to end an error with, or nothing. Short names are near to everything, so they get none. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const others = [...known].filter((one) => one !== name)
  const closest = name.length < 4 ? undefined : closestName(name, others)
  return closest === undefined ? '' : `; did you mean ${JSON.stringify(closest)}?`
}

/** The known name that was most likely meant; undefined if none is similar. */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  const maxEdits = Math.max(2, Math.floor(name.length / 5))
  let closest: string | undefined
  let closestEdits = maxEdits + 1
  for (const candidate of known) {
    const edits = isCutShort(name, candidate) ? maxEdits : distance(name, candidate)
    if (edits >= closestEdits) continue
    closest = candidate
    closestEdits = edits
  }
  return closest
}

/** `SERVER_WORKERS` for `SERVER_WORKERS_COUNT`: different by edit distance, but similar by words. */
function isCutShort(name: string, candidate: string): boolean {
  return candidate.startsWith(`${name}_`) || name.startsWith(`${candidate}_`)
}

/** Up to `limit` known names that are like this one, the closest first: mistyped, or one a part of the other. */
export function nearNames(name: string, known: readonly string[], limit: number): string[] {
  const wanted = name.toLowerCase()
  const maxEdits = 1 + Math.floor(name.length / 3)
  const found = known.flatMap((candidate) => {
    const other = candidate.toLowerCase()
    const isPart =
      wanted.length > 2 && (other.includes(wanted) || (other.length > 2 && wanted.includes(other)))
    const edits = distance(wanted, other)
    return isPart || edits <= maxEdits ? [{ candidate, edits }] : []
  })
  const sorted = found.toSorted((a, b) => a.edits - b.edits)
  return sorted.slice(0, limit).map(({ candidate }) => candidate)
}
