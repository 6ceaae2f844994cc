import { dirname, sep } from 'node:path'

/**
 * Describes what an extension threw while the router starts, with the file and line that threw it. `packageName`: the package
 * that may have thrown it; otherwise, it is in a file outside of node_modules.
 */
export function extensionProblem(error: unknown, packageName?: string): string {
  if (!(error instanceof Error)) return String(error)
  const { stack = '' } = error
  const message = error.message || error.name
  // A .js or .ts file with "type": "commonjs" in its package.json, which `npm init` writes.
  if (/^Cannot use import statement outside a module|^Unexpected token 'export'/.test(message))
    return 'it is an ES module: set "type": "module" in its package.json, or name the file .mjs or .mts'
  const locations = stack.matchAll(
    /(?:^|\(|at )(?:async )?(?:file:\/\/)?(\/[^\s()]+?:\d+(?::\d+)?)(?=\)?$)/gm,
  )
  const location = [...locations]
    .map(([, location = '']) => location)
    .find((each) => isOfExtension(each, packageName))
  return location === undefined ? message : `${message} (${location})`
}

function isOfExtension(location: string, packageName = ''): boolean {
  if (packageName !== '' && location.includes(`/node_modules/${packageName}/`)) return true
  return !location.startsWith(dirname(import.meta.dirname) + sep) && !location.includes('/node_modules/')
}
