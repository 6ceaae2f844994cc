import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { blocksOf } from '../docs/blocks.ts'
import { childEnv, root } from '../helpers/child-env.ts'
import { archive, repository } from './dry-run.ts'

/** Stand-ins for installations, which need a network and a minute each: the packages are those of this checkout. */
const npm = `#!/bin/sh
case $1 in
ci) ln -sfn '${join(root, 'node_modules')}' node_modules;;
install)
  for last; do :; done
  own=$npm_config_prefix/lib/node_modules/llm-router
  mkdir -p "$own" && tar xzf "$last" --strip-components=1 --directory "$own"
  ln -sfn '${join(root, 'node_modules')}' "$own/node_modules"
  ln -sf "$own/bin/llm-router.js" "$npm_config_prefix/bin/llm-router";;
*) exit 1;;
esac
`
const npx = `#!/bin/sh
[ "$1 $2 $4" = '-y -p llm-router' ] || exit 1
npm install "$3" && shift 4 && exec llm-router "$@"
`

describe('npm run try', () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-try-test-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const tools = join(folder, 'tools')
  mkdirSync(tools)
  for (const [name, text] of Object.entries({ npm, npx }))
    writeFileSync(join(tools, name), text, { mode: 0o755 })

  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/try.ts', '--archive', archive], {
    cwd: repository,
    encoding: 'utf8',
    env: childEnv({ PATH: `${tools}:${process.env.PATH}`, TMPDIR: folder }),
  })
  const lines = (text: string): string[] =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^ *\d+\.\d s /, '- '))

  test('three new users succeed, and the time to each success is printed', () => {
    assert.deepEqual([status, stderr], [0, ''])
    assert.equal(lines(stdout).filter((line) => !line.startsWith('- ')).length, 3)
    assert.equal(lines(stdout).filter((line) => /^- .*first answer/.test(line)).length, 5)
  })

  test('docs/quick-start.md quotes the printed times', () => {
    const quoted = blocksOf('docs/quick-start.md').find(({ text }) => / s {2}git clone/.test(text))?.text
    assert.deepEqual(lines(quoted ?? ''), lines(stdout))
  })

  test('docs/quick-start.md contains each command that the users type', () => {
    const page = readFileSync(join(root, 'docs/quick-start.md'), 'utf8')
    for (const [, command = ''] of stdout.matchAll(/^ *\d+\.\d s {2}(.*?): /gm))
      for (const word of command.split(' ')) assert.ok(page.includes(word), command)
  })
})
