import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from './blocks.ts'

interface Rules {
  overrides: {
    includes: string[]
    linter?: {
      rules?: { style?: { noRestrictedImports?: { options: { patterns: { group: string[] }[] } } } }
    }
  }[]
}

const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

/** The folders that the linter lets each folder import. */
function allowedByLinter(): Map<string, string[]> {
  const { overrides }: Rules = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'))
  const allowed = new Map<string, string[]>()
  for (const { includes, linter } of overrides) {
    const [, folder] = /^src\/(\w+)\/\*\*$/.exec(includes[0] ?? '') ?? []
    const patterns = linter?.rules?.style?.noRestrictedImports?.options.patterns
    if (!folder || !patterns) continue
    const denied = new Set(patterns.flatMap(({ group }) => group))
    allowed.set(
      folder,
      folders.filter((other) => other !== folder && !denied.has(`../${other}/**`)),
    )
  }
  return allowed
}

/** The folders that the page lets each folder import: the rows `| folder/ | what belongs there | may import |`. */
function allowedByPage(): Map<string, string[]> {
  const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
  const [, section = ''] = page.split('\n## Folders\n')
  const allowed = new Map<string, string[]>()
  for (const [, folder = '', imports = ''] of section.matchAll(/^\| `(\w+)\/` \|[^|]*\|([^|]+)\|$/gm)) {
    const names = [...imports.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
    allowed.set(folder, imports.includes('all of the above') ? [...allowed.keys()] : names)
  }
  return allowed
}

test('docs/architecture.md names every folder of the sources, and the imports that the linter allows', () => {
  // The path of an import does not distinguish `processors` from `config/processors`.
  const isClear = (folder: string, other: string): boolean => !existsSync(join(root, 'src', folder, other))
  const sorted = (allowed: Map<string, string[]>) =>
    Object.fromEntries(
      [...allowed].map(([folder, imports]) => [
        folder,
        imports.filter((other) => isClear(folder, other)).toSorted(),
      ]),
    )
  const page = sorted(allowedByPage())
  assert.deepEqual(Object.keys(page).toSorted(), folders.toSorted())
  assert.deepEqual(page, sorted(allowedByLinter()))
})
