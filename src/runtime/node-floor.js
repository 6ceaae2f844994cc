// Plain JavaScript without modern syntax, so that a Node.js that cannot parse TypeScript or optional chaining still
// reports its version in one sentence.

/**
 * First version of each release line whose `JSON.parse` is correct: earlier ones may misread escaped keys of one
 * character. Both are also free of the known vulnerabilities that a gateway's clients can reach
 * (https://nodejs.org/en/blog/vulnerability). Lines in between are no longer maintained; later ones include the fix.
 * package.json, scripts/prepare.sh and the Dockerfile name the same versions.
 */
export const nodeFloors = ['24.22.3', '26.12.1']

/**
 * Returns why the router does not run on a version of Node.js, in one sentence; undefined if it does.
 *
 * @param {string} version 24.22.3
 * @returns {string | undefined}
 */
export function nodeError(version) {
  const actual = numbersOf(version)
  const floor = nodeFloors.map(numbersOf).find((candidate) => candidate[0] >= actual[0])
  if (floor === undefined || compare(actual, floor) >= 0) return undefined
  return `llm-router needs Node.js ${nodeFloors[0]} or newer (${nodeFloors[1]} on the 26 line); this is ${version}`
}

/**
 * @param {string} version
 * @returns {[major: number, minor: number, patch: number]}
 */
function numbersOf(version) {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return [major, minor, patch]
}

/**
 * @param {[number, number, number]} a
 * @param {[number, number, number]} b
 * @returns {number}
 */
function compare(a, b) {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}
