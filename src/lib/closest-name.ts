/** The known name that a mistyped one most likely stands for; undefined when none is near. */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  const most = Math.max(2, Math.floor(name.length / 5))
  let closest: string | undefined
  let closestEdits = most + 1
  for (const candidate of known) {
    const edits = isCutShort(name, candidate) ? most : editsBetween(name, candidate)
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

/** Levenshtein's distance: letters to insert, delete or replace. */
function editsBetween(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const replaced = at(previous, column - 1) + (from[row - 1] === to[column - 1] ? 0 : 1)
      current.push(Math.min(replaced, at(previous, column) + 1, at(current, column - 1) + 1))
    }
    previous = current
  }
  return at(previous, to.length)
}

function at(row: number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
