import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEnv, root } from '../helpers/child-env.ts'
import { checkout } from './checkout.ts'

const folder = mkdtempSync(join(tmpdir(), 'llm-router-dry-run-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

/** The checkout in which the release was tried. */
export const repository = join(folder, 'repository')
/** The files that it created. */
export const files = join(folder, 'release')

mkdirSync(repository)
checkout(repository)
symlinkSync(join(root, 'node_modules'), join(repository, 'node_modules'))

/** The output. Runs once for all tests of a process, because it builds and packs the router. */
export const { status, stdout, stderr } = spawnSync(
  process.execPath,
  ['scripts/release.ts', '9.8.7', '--dry-run', '--out', files],
  {
    cwd: repository,
    encoding: 'utf8',
    env: childEnv({
      LLM_ROUTER_NPM_SCOPE: '@acme',
      GITHUB_SERVER_URL: 'https://github.example',
      GITHUB_REPOSITORY: 'acme/llm-router',
    }),
  },
)
if (status !== 0) throw new Error(`the release failed: ${stderr}`)

/** The package of the release, under its name in the repository. */
export const archive = join(files, 'llm-router-9.8.7.tgz')

/** Unpacks it as an installation does, without its dependencies. */
export function unpack(into: string, from = archive): void {
  mkdirSync(into, { recursive: true })
  const unpacked = spawnSync('tar', ['xzf', from, '--strip-components=1', '--directory', into])
  if (unpacked.status !== 0) throw new Error(`${from} cannot be unpacked: ${unpacked.stderr}`)
}
