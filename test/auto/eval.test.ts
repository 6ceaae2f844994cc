import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { runCli } from '../cli/run-cli.ts'
import { tempFolder } from '../retrieval/rig.ts'
import { type AutoRig, startAuto } from './rig.ts'

const open: AutoRig[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

const key = { LLM_ROUTER_ADMIN_KEY: 'sk-admin-0123456789abcdef' }
const auto = { models: ['small', 'large'], rules: [{ model: 'large', words: ['code'] }] }

test('auto eval prints a table of expected and selected models', async () => {
  const rig = await startAuto(auto, { env: key })
  open.push(rig)
  const folder = tempFolder()
  const lines = [
    { text: 'some code', model: 'large' },
    { text: 'a riddle', model: 'large' },
    { text: 'hello', model: 'small' },
    { messages: [{ role: 'user', content: 'bye' }], model: 'small' },
  ]
  folder.write('cases.jsonl', lines.map((line) => JSON.stringify(line)).join('\n'))
  const args = ['auto', 'eval', `${folder.path}/cases.jsonl`, '--url', rig.router.url]
  const { code, stdout, stderr } = await runCli(args, key)
  assert.equal(code, 0, stderr)
  assert.equal(
    stdout,
    [
      'EXPECTED \\ CHOSEN  large  small  CORRECT',
      'large                  1      1      50%',
      'small                  .      2     100%',
      '',
      '4 requests, 75% correct',
      '',
    ].join('\n'),
  )
  assert.equal(rig.models.requests.length, 0)
  folder.write('cases.jsonl', '{"text": 1}\nnonsense')
  const wrong = await runCli(args, key)
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /cases\.jsonl:1: not an object[\s\S]*cases\.jsonl:2: /)
  folder.remove()
})

test('auto eval reports a configuration without the model auto', async () => {
  const rig = await startAuto(undefined, { env: key, root: { aliases: { auto: 'small' } } })
  open.push(rig)
  const folder = tempFolder()
  folder.write('cases.jsonl', '{"text": "hi", "model": "small"}')
  const args = ['auto', 'eval', `${folder.path}/cases.jsonl`, '--url', rig.router.url]
  const { code, stderr } = await runCli(args, key)
  assert.deepEqual(
    [code, stderr],
    [1, 'this router has no automatic model choice, or a configured model named auto\n'],
  )
  folder.remove()
})
