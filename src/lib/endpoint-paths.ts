/** Returns the distinct paths of an endpoint: the fixed ones and those under the configurable prefix. */
export function endpointPaths(prefix: string, paths: { fixed: string[]; prefixed: string[] }): string[] {
  return [...new Set([...paths.fixed, ...paths.prefixed.map((path) => prefix + path)])]
}

/**
 * Returns the relative URL from one path to another, as a browser resolves it: from `/ui` to `/api/status` it is `api/status`.
 * Pages with relative URLs work behind reverse proxies that strip any path prefix.
 */
export function relativePath(from: string, to: string): string {
  const above = from.split('/').slice(1, -1)
  const below = to.split('/').slice(1)
  const shared = above.findIndex((part, index) => part !== below[index])
  const common = Math.min(shared === -1 ? above.length : shared, below.length - 1)
  const steps = [...above.slice(common).map(() => '..'), ...below.slice(common)]
  return steps.join('/')
}

/** Whether the path ends with a slash, so that relative URLs of its page would resolve one level too deep. */
export function hasTrailingSlash(url: string): boolean {
  return /^[^?]*\/(?:\?|$)/.test(url)
}

/** Returns the relative URL from a path to the router's root, without a trailing slash, so that paths can be appended. */
export function relativeRoot(from: string): string {
  return relativePath(from, '/').slice(0, -1) || '.'
}

/**
 * Removes trailing slashes. Not by a regular expression, which takes quadratic time for many slashes before another character.
 */
export function withoutTrailingSlashes(text: string): string {
  let end = text.length
  while (text.endsWith('/', end)) end--
  return text.slice(0, end)
}
