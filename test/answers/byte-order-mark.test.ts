import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, startRig } from '../helpers/dialect-clients.ts'
import { post } from '../helpers/http.ts'
import { type Behaviour, openaiText, upstreamModel } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

function marked(body: object): Behaviour {
  const headers = { 'content-type': 'application/json' }
  return { kind: 'stream', headers, pieces: [`\ufeff${JSON.stringify(body)}`] }
}

test('a byte order mark before a whole response is skipped, whether it is translated or passed through', async () => {
  const choice = { index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }
  rig.upstream.rescript(marked({ id: 'chatcmpl-1', model: upstreamModel, choices: [choice] }))
  const passed = await ask(rig, 'openai', 'vllm')
  assert.equal(passed.json.choices[0].message.content, 'Hi')
  assert.equal(passed.json.model, 'vllm')
  const translated = await ask(rig, 'anthropic', 'vllm')
  assert.deepEqual(translated.json.content, [{ type: 'text', text: 'Hi' }])
  const streamed = await ask(rig, 'ollama', 'vllm', { stream: true })
  assert.equal(streamed.events.map(({ message }) => message.content).join(''), 'Hi')
})

test('a byte order mark before embeddings is skipped', async () => {
  rig.upstream.rescript(marked({ model: upstreamModel, data: [{ index: 0, embedding: [0.5] }] }))
  const { text } = await post(`${rig.router.url}/api/embed`, { model: 'vllm', input: 'hi' })
  assert.deepEqual(JSON.parse(text).embeddings, [[1]])
})
