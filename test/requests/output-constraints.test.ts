import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { anthropicText } from '../helpers/anthropic-answers.ts'
import { ask, startRig } from '../helpers/dialect-clients.ts'
import { geminiText } from '../helpers/gemini-answers.ts'
import { post } from '../helpers/http.ts'
import { ollamaText, openaiText } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

const schema = { type: 'object', properties: { a: { type: 'string' } } }
const jsonForms = [
  { structured_outputs: { json: schema } },
  { guided_json: schema },
  { guided_json: JSON.stringify(schema) },
  { guided_json: schema, response_format: { type: 'text' } },
  { structured_outputs: { json: schema, regex: null, choice: null, disable_fallback: false } },
]

test('a schema in the form of an engine is that of any other server', async () => {
  for (const form of jsonForms) {
    rig.upstream.rescript(ollamaText('{}'))
    assert.equal((await ask(rig, 'openai', 'ollama', form)).lost, '')
    assert.deepEqual(rig.sent().format, schema)
    rig.upstream.rescript(anthropicText('{}'))
    await ask(rig, 'openai', 'anthropic', form)
    assert.deepEqual(rig.sent().output_config.format.schema, { ...schema, additionalProperties: false })
    rig.upstream.rescript(geminiText('{}'))
    await ask(rig, 'openai', 'gemini', form)
    assert.deepEqual(rig.sent().generationConfig.responseJsonSchema, schema)
  }
  rig.upstream.rescript(ollamaText('{}'))
  await ask(rig, 'openai', 'ollama', { structured_outputs: { json_object: true } })
  assert.equal(rig.sent().format, 'json')
  const completion = { model: 'ollama', prompt: 'hi', guided_json: schema }
  assert.equal((await post(`${rig.router.url}/v1/completions`, completion)).status, 200)
  assert.deepEqual(rig.sent().format, schema)
})

test('a constraint that the server lacks is rejected, because the response would not be what was asked for', async () => {
  const forms = [
    { guided_regex: 'a+' },
    { guided_grammar: 'root ::= "a"' },
    { grammar: 'root ::= "a"' },
    { structured_outputs: { regex: 'a+' } },
  ]
  for (const model of ['ollama', 'anthropic', 'gemini'])
    for (const form of forms) {
      const [name] = Object.keys(form)
      const { status, json } = await ask(rig, 'openai', model, form)
      assert.deepEqual([status, json.error?.param], [400, name], model)
    }
})

test('a constraint without a value is none', async () => {
  rig.upstream.rescript(anthropicText('a'))
  for (const form of [
    { structured_outputs: { json: null, regex: null } },
    { guided_json: null },
    { regex: '' },
  ])
    assert.equal((await ask(rig, 'openai', 'anthropic', form)).status, 200, JSON.stringify(form))
})

test('Ollama gets choices as a schema, which is reported; other servers cannot have them', async () => {
  for (const form of [{ guided_choice: ['a', 'b'] }, { structured_outputs: { choice: ['a', 'b'] } }]) {
    const [name] = Object.keys(form)
    rig.upstream.rescript(ollamaText('"a"'))
    assert.equal((await ask(rig, 'openai', 'ollama', form)).lost, name)
    assert.deepEqual(rig.sent().format, { enum: ['a', 'b'] })
    assert.equal((await ask(rig, 'openai', 'anthropic', form)).status, 400)
  }
})

test('constraints reach servers of the same dialect unchanged', async () => {
  rig.upstream.rescript(openaiText('a'))
  await ask(rig, 'openai', 'vllm', { structured_outputs: { regex: 'a+' } })
  assert.deepEqual(rig.sent().structured_outputs, { regex: 'a+' })
})
