/**
 * The first versions of Node without the known holes that a gateway's clients can reach, one for each line that is kept up:
 * https://nodejs.org/en/blog/vulnerability (request smuggling by cut headers, CVE-2026-58044, and others).
 */
const floors = [
  [24, 18, 1],
  [26, 5, 1],
] as const

/** What a start should say of a Node that is older than that; undefined where there is nothing to say. `version`: 24.18.1. */
export function nodeWarning(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  const floor = floors.find(([line]) => line >= major)
  if (!floor || compare([major, minor, patch], floor) >= 0) return undefined
  return `Node ${version} has known security holes; use ${floor.join('.')} or newer`
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((part, index) => part !== b[index])
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}
