import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { OllamaChatBody } from '../../../src/dialects/ollama/request/schema.ts'

const compiled = TypeCompiler.Compile(OllamaChatBody)

function errorPath(body: unknown): string | undefined {
  return compiled.Errors(body).First()?.path
}

test('a full request is valid, including unknown fields', () => {
  const body = {
    model: 'm',
    messages: [
      { role: 'system', content: 'S' },
      { role: 'user', content: 'U', images: ['aGk='], custom: 1 },
      { role: 'assistant', content: null, tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] },
      { role: 'tool', content: '1', tool_name: 'f' },
    ],
    tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } }],
    stream: 'true',
    format: { type: 'object' },
    think: 'high',
    keep_alive: '5m',
    options: { num_ctx: 4096, stop: ['x'], whatever: [1] },
    whatever: {},
  }
  assert.equal(errorPath(body), undefined)
})

test('null counts as an absent field', () => {
  const nulls = {
    messages: null,
    stream: null,
    format: null,
    think: null,
    keep_alive: null,
    options: null,
    tools: null,
  }
  assert.equal(errorPath(nulls), undefined)
  const call = { id: null, function: { name: 'f', arguments: null } }
  const message = { role: 'assistant', content: null, thinking: null, images: null, tool_calls: [call] }
  assert.equal(errorPath({ messages: [message], options: { seed: null, stop: null } }), undefined)
})

test('a request without messages is valid, because it loads the model', () => {
  assert.equal(errorPath({}), undefined)
  assert.equal(errorPath({ messages: [] }), undefined)
})

const wrong: [string, unknown, string][] = [
  [
    'an array as content',
    { messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }] },
    '/messages',
  ],
  ['a role of another dialect', { messages: [{ role: 'developer', content: 'x' }] }, '/messages'],
  ['messages that are not an array', { messages: 'Hi' }, '/messages'],
  ['a temperature as a string', { options: { temperature: '0.5' } }, '/options'],
  ['a stop that is not an array', { options: { stop: 'x' } }, '/options'],
  ['options that are not an object', { options: 1 }, '/options'],
  ['stream as a number', { stream: 1 }, '/stream'],
  ['format as an array', { format: ['json'] }, '/format'],
  ['think as a number', { think: 1 }, '/think'],
  ['a tool without a function', { tools: [{ type: 'function' }] }, '/tools'],
]
for (const [name, body, path] of wrong) {
  test(`${name} is rejected with its path`, () => assert.equal(errorPath(body)?.startsWith(path), true))
}
