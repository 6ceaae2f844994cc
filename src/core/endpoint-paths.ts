/** The paths of one endpoint: some at fixed places, some under the prefix; each once, whatever the prefix is. */
export function endpointPaths(prefix: string, paths: { fixed: string[]; prefixed: string[] }): string[] {
  return [...new Set([...paths.fixed, ...paths.prefixed.map((path) => prefix + path)])]
}
