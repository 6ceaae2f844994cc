import { distance } from 'fastest-levenshtein'

/**
 * Returns `; did you mean "ollama"?` to append to an error, or ''. Names under 3 characters resemble everything and get none.
 */
export function didYouMean(name: string, known: Iterable<string>): string {
  const others = [...known].filter((one) => one !== name)
  const closest = name.length < 3 ? undefined : closestName(name, others)
  return closest === undefined ? '' : `; did you mean ${JSON.stringify(closest)}?`
}

/** Returns the known name that was most likely meant; undefined if none is similar. */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  const maxEdits = name.length < 4 ? 1 : Math.max(2, Math.floor(name.length / 5))
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

/** `SERVER_WORKERS` and `SERVER_WORKERS_COUNT` have a large edit distance, but share their words. */
function isCutShort(name: string, candidate: string): boolean {
  return candidate.startsWith(`${name}_`) || name.startsWith(`${candidate}_`)
}

/** Returns up to `limit` similar known names, closest first: typing errors, and names that contain one another. */
export function nearNames(name: string, known: readonly string[], limit: number): string[] {
  const lowerCased = name.toLowerCase()
  const maxEdits = 1 + Math.floor(name.length / 3)
  const found = known.flatMap((candidate) => {
    const other = candidate.toLowerCase()
    const isPart =
      lowerCased.length > 2 &&
      (other.includes(lowerCased) || (other.length > 2 && lowerCased.includes(other)))
    const edits = distance(lowerCased, other)
    return isPart || edits <= maxEdits ? [{ candidate, edits }] : []
  })
  const sorted = found.toSorted((a, b) => a.edits - b.edits)
  return sorted.slice(0, limit).map(({ candidate }) => candidate)
}
