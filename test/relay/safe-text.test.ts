import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vllm } from '../../src/providers/vllm.ts'
import { safeUpstreamText } from '../../src/relay/attempt/safe-text.ts'
import type { Target } from '../../src/sdk/target.ts'

const target: Target = {
  id: 'a',
  model: 'small',
  type: vllm,
  upstreamModel: '/models/llama-3-8b',
  origin: 'http://gpu7.example:8000',
  paths: {},
  token: 'very-secret-token',
  weight: 1,
  inputSize: 0,
  toolCalling: true,
  dropParams: [],
  defaults: {},
  streamUsage: true,
  mock: {},
}

test('plain words of an upstream are shown, control characters and colours are removed', () => {
  assert.equal(
    safeUpstreamText('temperature must be\n non-negative', target),
    'temperature must be  non-negative',
  )
  assert.equal(safeUpstreamText('\u001b[31mtop_p\u001b[0m is 1.5', target), 'top_p  is 1.5')
})

test("the upstream's name of the model is replaced by the alias", () => {
  assert.equal(
    safeUpstreamText('The model `/models/llama-3-8b` does not support tools', target),
    'The model `small` does not support tools',
  )
})

test("the upstream's name of the model is replaced only where it is a whole word", () => {
  const rename = (text: string, upstreamModel: string, model: string) =>
    safeUpstreamText(text, { ...target, upstreamModel, model })
  const same = [
    'metallama is down',
    'llama2 is down',
    'llama-3 is down',
    'llama.cpp is down',
    'llama:8b is down',
    'org/llama is down',
    'llama/v2 is down',
    'my_llama, llama_2',
    'llamas and \u00f3llama',
    'x-llama@y llama@y',
  ]
  for (const text of same) assert.equal(rename(text, 'llama', 'prod'), text)
  for (const [text, wanted] of [
    ['llama', 'prod'],
    ['model "llama" not found', 'model "prod" not found'],
    ["model 'llama:latest' not found, try llama", "model 'prod' not found, try prod"],
    ['(llama), llama; llama: llama. llama? `llama`=llama', '(prod), prod; prod: prod. prod? `prod`=prod'],
    ['llama metallama llama', 'prod metallama prod'],
    ["llama's context", "prod's context"],
  ] as const)
    assert.equal(rename(text, 'llama', 'prod'), wanted)
  assert.equal(rename('org/llama.3 and org/llama.3.1', 'org/llama.3', 'a'), 'a and org/llama.3.1')
  assert.equal(rename('aa aaa a', 'a', 'aa'), 'aa aaa aa')
})

test('a text with an address, a path, a key or a stack trace is not shown', () => {
  const leaks = [
    'connect to http://x failed',
    'see 10.0.0.7',
    'fe80::1:2:3 is down',
    'localhost refused',
    'gpu7.example is down',
    'redis:6379 lost',
    'node1.cluster gone',
    'cannot read /var/lib/models/x',
    'C:\\models\\x missing',
    'bad key sk-abcdef123456',
    'Bearer abcdefgh refused',
    'token very-secret-token is wrong',
    'Traceback (most recent call last)',
    'x at run (file.js:10:5)',
    '0123456789abcdef0123456789abcdef',
  ]
  for (const text of leaks) assert.equal(safeUpstreamText(text, target), undefined, text)
})

test('a long text is cut, and an empty one is omitted', () => {
  assert.equal(safeUpstreamText('word '.repeat(200), target)?.length, 515)
  assert.equal(safeUpstreamText(' \n', target), undefined)
  assert.equal(safeUpstreamText(undefined, target), undefined)
})

test('a text crafted to be slow to check costs no more than a short one', () => {
  for (const piece of ['a-', 'sk-', 'a.', 'at ', '1.', 'a:']) {
    const started = performance.now()
    safeUpstreamText(piece.repeat(40_000), target)
    // Checking all of it takes seconds; the limit only distinguishes the two.
    assert.ok(performance.now() - started < 1_000, piece)
  }
})
