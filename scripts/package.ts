/** Builds and packs the router as for a release: npm run package [-- DIRECTORY] */
import { dirname, join, resolve } from 'node:path'
import { pack } from './release/package.ts'
import { run } from './release/run.ts'

const root = dirname(import.meta.dirname)
const out = resolve(process.argv[2] ?? '.')
run('node', ['scripts/build.ts'], { cwd: root })
process.stdout.write(`${join(out, pack({ root, out }))}\n`)
