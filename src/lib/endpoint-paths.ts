/** The paths of one endpoint: some at fixed places, some under the prefix; each once, whatever the prefix is. */
export function endpointPaths(prefix: string, paths: { fixed: string[]; prefixed: string[] }): string[] {
  return [...new Set([...paths.fixed, ...paths.prefixed.map((path) => prefix + path)])]
}

/**
 * Relative URL from one path to another, as resolved by a browser: from `/ui` to `/api/status` it is `api/status`. A page
 * that names others so works behind any reverse proxy, whatever path that removes.
 */
export function relativePath(from: string, to: string): string {
  const above = from.split('/').slice(1, -1)
  const below = to.split('/').slice(1)
  const shared = above.findIndex((part, index) => part !== below[index])
  const common = Math.min(shared === -1 ? above.length : shared, below.length - 1)
  const steps = [...above.slice(common).map(() => '..'), ...below.slice(common)]
  return steps.join('/')
}

/** Whether relative URLs of a page at this address begin one step too deep. */
export function hasTrailingSlash(url: string): boolean {
  return /^[^?]*\/(?:\?|$)/.test(url)
}

/** Relative URL from a path to the router's root, without a trailing slash, so that paths can be appended. */
export function relativeRoot(from: string): string {
  return relativePath(from, '/').slice(0, -1) || '.'
}
