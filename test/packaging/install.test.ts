import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

const root = join(import.meta.dirname, '../..')

/** A stand-in for npm: records how it was called, and installs tools if it was asked for the test packages. */
const npm = `#!/bin/sh
echo "$*" >>npm.log
if [ "$1" = ci ]; then rm -rf node_modules; fi
mkdir -p node_modules/.bin
cp node node_modules/.bin/node
case "$*" in *--include=dev*) touch node_modules/.bin/tsc node_modules/.bin/biome node_modules/.bin/knip;; esac
sleep 0.01 && touch node_modules/.package-lock.json
`

/** A checkout on a machine whose own Node is version 20. */
class Checkout {
  readonly folder = mkdtempSync(join(tmpdir(), 'llm-router-install-'))

  constructor(t: TestContext) {
    t.after(() => rmSync(this.folder, { recursive: true }))
    for (const name of ['run-rest-api.sh', 'run-tests.sh', 'scripts/prepare.sh'])
      cpSync(join(root, name), join(this.folder, name))
    mkdirSync(join(this.folder, 'bin'))
    this.#program('bin/npm', npm)
    this.#program('bin/node', '#!/bin/sh\necho v20.20.2\n')
    // The one that the optional packages install.
    this.#program(
      'node',
      '#!/bin/sh\nif [ "$1" = --version ]; then echo v24.22.3; else echo "started $*"; fi\n',
    )
    this.changeLockFile()
  }

  serve(): string {
    const { status, stdout, stderr } = this.#run(['./run-rest-api.sh'])
    assert.equal(status, 0, stderr)
    return stdout
  }

  installForTests(): void {
    const script = '. scripts/prepare.sh && install_packages all && choose_node && echo "$NODE"'
    const { status, stdout, stderr } = this.#run(['-c', script])
    assert.equal(status, 0, stderr)
    assert.equal(stdout, 'node_modules/.bin/node\n')
  }

  /** Does what `git pull` does. */
  changeLockFile(): void {
    const path = join(this.folder, 'package-lock.json')
    writeFileSync(path, '{}')
    const marker = join(this.folder, 'node_modules/.package-lock.json')
    const longAgo = new Date(0)
    if (existsSync(marker)) utimesSync(marker, longAgo, longAgo)
    else utimesSync(path, longAgo, longAgo)
  }

  /** The arguments of npm, without its output options. */
  calls(): string[] {
    const log = join(this.folder, 'npm.log')
    if (!existsSync(log)) return []
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
    return lines.map((line) => line.replace(/ --loglevel.*/, ''))
  }

  #run(args: string[]): { status: number | null; stdout: string; stderr: string } {
    const env = { PATH: `${join(this.folder, 'bin')}:/usr/bin:/bin` }
    return spawnSync('bash', args, { cwd: this.folder, env, encoding: 'utf8' })
  }

  #program(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text)
    chmodSync(join(this.folder, name), 0o755)
  }
}

const production = 'ci --omit=dev --include=optional'
const missing = 'install --no-save --include=dev --include=optional'
const all = 'ci --include=dev --include=optional'

test('the start script installs production packages only, once, and uses the Node that they install', (t) => {
  const checkout = new Checkout(t)
  assert.match(checkout.serve(), /^started --disable-sigusr1 .*src\/cli\.ts$/m)
  assert.match(checkout.serve(), /^started /)
  assert.deepEqual(checkout.calls(), [production])
})

test('the test script adds its packages to a production installation, and the start script keeps them', (t) => {
  const checkout = new Checkout(t)
  checkout.serve()
  checkout.installForTests()
  checkout.serve()
  checkout.installForTests()
  assert.deepEqual(checkout.calls(), [production, missing])
})

test('the test script installs all packages in one step in a new checkout', (t) => {
  const checkout = new Checkout(t)
  checkout.installForTests()
  checkout.serve()
  assert.deepEqual(checkout.calls(), [all])
})

test('after a lock file change each installation is updated and keeps its set of packages', (t) => {
  const checkout = new Checkout(t)
  checkout.serve()
  checkout.changeLockFile()
  checkout.serve()
  checkout.installForTests()
  checkout.changeLockFile()
  checkout.serve()
  assert.deepEqual(checkout.calls(), [production, production, missing, all])
})

test('the test script prints help without installing anything, and rejects unknown options', (t) => {
  const checkout = new Checkout(t)
  const run = (argument: string) =>
    spawnSync('bash', [join(checkout.folder, 'run-tests.sh'), argument], { encoding: 'utf8' })
  for (const option of ['--help', '-h']) {
    const { status, stdout } = run(option)
    assert.equal(status, 0)
    assert.match(stdout, /^ {2}\.\/run-tests\.sh --install /m)
  }
  const { status, stderr } = run('--halp')
  assert.equal(status, 2)
  assert.match(stderr, /--halp.*--help/)
  assert.deepEqual(checkout.calls(), [])
})
