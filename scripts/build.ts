/** Builds dist/, which is the content of the package: Node does not strip types in node_modules. */
import { spawnSync } from 'node:child_process'
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const out = join(root, 'dist')

rmSync(out, { recursive: true, force: true })
// Comments are for readers of the declarations; in the code they would be a tenth of the package.
compile('--removeComments', '--declaration', 'false')
compile('--emitDeclarationOnly')
for (const name of globSync('**/*.js', { cwd: out })) indentByTabs(join(out, name))
// Files that the compiler does not copy: Lua scripts and hand-written declarations.
cpSync(join(root, 'src'), out, { recursive: true, filter: isAsset })
const published = declarationsOf(['index.d.ts', 'sdk.d.ts'].map((name) => join(out, name)))
for (const name of globSync('**/*.d.ts', { cwd: out })) {
  const path = join(out, name)
  if (!published.has(path)) rmSync(path)
}

function compile(...options: string[]): void {
  const compiler = join(root, 'node_modules/.bin/tsc')
  // With several threads each would also load and infer what the others do: twice the work.
  const args = ['--project', join(root, 'tsconfig.build.json'), '--singleThreaded', ...options]
  const { status, error } = spawnSync(compiler, args, { stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

/**
 * The compiler indents by four spaces, which would be a tenth of the package. A file in which a template literal spans several
 * lines stays as it is, because spaces at the beginning of a line may be part of it.
 */
function indentByTabs(path: string): void {
  const lines = readFileSync(path, 'utf8').split('\n')
  if (lines.some((line) => line.split('`').length % 2 === 0)) return
  const indented = lines.map((line) => line.replace(/^(?: {4})+/, (spaces) => '\t'.repeat(spaces.length / 4)))
  writeFileSync(path, indented.join('\n'))
}

function isAsset(path: string): boolean {
  return path.endsWith('.d.ts') || !/\.[jt]s$/.test(path)
}

/** The declarations that can be imported from the package, with those that they import. All others would double its size. */
function declarationsOf(entries: readonly string[]): Set<string> {
  const found = new Set(entries)
  // A set's iterator also visits members added during iteration.
  for (const path of found)
    for (const [, specifier = ''] of readFileSync(path, 'utf8').matchAll(/["'](\.{1,2}\/[^"']+)\.[jt]s["']/g))
      found.add(join(dirname(path), `${specifier}.d.ts`))
  return found
}
