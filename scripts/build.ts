/** Builds dist/, which the package consists of: Node does not strip types below node_modules. */
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const out = join(root, 'dist')

rmSync(out, { recursive: true, force: true })
const compiler = join(root, 'node_modules/.bin/tsc')
const { status, error } = spawnSync(compiler, ['--project', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
})
if (error) throw error
if (status !== 0) process.exit(status ?? 1)
// What the compiler leaves out: Lua scripts, hand-written declarations.
cpSync(join(root, 'src'), out, { recursive: true, filter: isAsset })

function isAsset(path: string): boolean {
  return path.endsWith('.d.ts') || !/\.[jt]s$/.test(path)
}
