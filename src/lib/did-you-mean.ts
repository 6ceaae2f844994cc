import { distance } from 'fastest-levenshtein'

/** `; did you mean "ollama"?` to end an error with, or nothing. Short names are near to everything, so they get none. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const others = [...known].filter((one) => one !== name)
  const closest = name.length < 4 ? undefined : closestName(name, others)
  return closest === undefined ? '' : `; did you mean ${JSON.stringify(closest)}?`
}

/** The known name that a mistyped one most likely stands for; undefined when none is near. */
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

/** `SERVER_WORKERS` for `SERVER_WORKERS_COUNT`: far in letters, near in words. */
function isCutShort(name: string, candidate: string): boolean {
  return candidate.startsWith(`${name}_`) || name.startsWith(`${candidate}_`)
}
