import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { validate } from 'dockerfile-utils'

const root = join(import.meta.dirname, '../..')
const text = readFileSync(join(root, 'Dockerfile'), 'utf8')

test('the linter finds no fault in the Dockerfile', () => {
  assert.deepEqual(validate(text), [])
  assert.notDeepEqual(validate(text.replace('CMD [', 'CMDS [')), [], 'and it would find one')
})

test('the image and the script give Node the options that npm start gives it', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [, ...args] = scripts.start.split(' ')
  assert.ok(text.includes(`CMD ${JSON.stringify(['node', ...args]).replaceAll(',', ', ')}`), scripts.start)
  const script = readFileSync(join(root, 'run-rest-api.sh'), 'utf8')
  assert.ok(script.includes(`exec "$NODE" ${args.slice(0, -1).join(' ')} src/cli.ts "$@"`), scripts.start)
})

test("every command line of ours keeps SIGUSR1 from opening Node's debugger", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const script = readFileSync(join(root, 'run-rest-api.sh'), 'utf8')
  const [serving = ''] = /^exec .*$/m.exec(script) ?? []
  for (const line of [scripts.start, serving, /^CMD .*$/m.exec(text)?.[0] ?? ''])
    assert.match(line, /--disable-sigusr1/)
  // The chart and the compose file leave the command to the image.
  for (const file of ['helm/llm-router/templates/deployment.yaml', 'compose/compose.yaml'])
    for (const line of readFileSync(join(root, 'deploy', file), 'utf8').split('\n'))
      assert.ok(!/\bsrc\/(?:server|cli)\.ts\b/.test(line) || line.includes('--disable-sigusr1'), line)
})

test('the image is made in two stages and does not run as root', () => {
  assert.equal(text.match(/^FROM /gm)?.length, 2)
  assert.match(text, /^USER (?!root)\w+/m)
})
