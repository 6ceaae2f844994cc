import { posix } from 'node:path'

/** `import a, { b } from 'c'` and `export * from 'c'`, the only forms in the files that are joined. */
const imports = /^(?:import (?:(\w+),? )?(?:\{([^}]+)\} )?|export \* )from '(.+)'$/gm

interface JoinedModule {
  content: string
  /** The files that are in it, by name. */
  files: ReadonlySet<string>
}

/**
 * Joins a module with the files that it imports by a relative path, so that a browser loads all of them with one request. Their code
 * is in the order in which the browser would evaluate them, and in one scope: a top-level name must be unique among all of them.
 */
export function joinedModule(entry: string, read: (name: string) => string): JoinedModule {
  const files = new Set<string>()
  const bodies: string[] = []
  const namesOfModules = new Map<string, Set<string>>()
  const add = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    const body = read(file).replaceAll(imports, (_statement, whole = '', named = '', from: string) => {
      if (from.startsWith('.')) {
        add(posix.join(posix.dirname(file), from))
        return ''
      }
      const names = namesOfModules.get(from) ?? new Set()
      namesOfModules.set(from, names)
      if (whole !== '') names.add(`default as ${whole}`)
      for (const name of named.split(',')) if (name.trim() !== '') names.add(name.trim())
      return ''
    })
    bodies.push(body)
  }
  add(entry)
  const head = [...namesOfModules].map(
    ([from, names]) => `import { ${[...names].join(', ')} } from '${from}'\n`,
  )
  return { content: [...head, ...bodies].join(''), files }
}
