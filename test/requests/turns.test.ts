import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { anthropicText } from '../helpers/anthropic-answers.ts'
import { ask, type Json, startRig } from '../helpers/dialect-clients.ts'
import { geminiText } from '../helpers/gemini-answers.ts'
import { post } from '../helpers/http.ts'
import { ollamaText, openaiText } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

const png = 'iVBORw0KGgo='
const result = (tool_use_id: string, content: unknown) => ({ type: 'tool_result', tool_use_id, content })
const use = (id: string) => ({ type: 'tool_use', id, name: 'f', input: {} })

/** The body that a server of this type receives for the turns of an Anthropic client. */
async function sentFor(type: 'vllm' | 'ollama', messages: object[]): Promise<Json> {
  rig.upstream.rescript(type === 'vllm' ? openaiText('Hi') : ollamaText('Hi'))
  const { status, text } = await ask(rig, 'anthropic', type, { messages })
  assert.equal(status, 200, text)
  return rig.sent()
}

test('consecutive turns of one role of an Anthropic client are one turn for other servers', async () => {
  const turns = [
    { role: 'user', content: 'One' },
    { role: 'user', content: [{ type: 'text', text: 'Two' }] },
    { role: 'assistant', content: 'Look' },
    { role: 'assistant', content: [use('toolu_1')] },
    { role: 'assistant', content: [{ type: 'text', text: 'And' }, use('toolu_2')] },
    { role: 'user', content: [result('toolu_1', '1'), { type: 'text', text: 'Three' }] },
    { role: 'user', content: [result('toolu_2', '2'), { type: 'text', text: 'Four' }] },
  ]
  for (const type of ['vllm', 'ollama'] as const) {
    const { messages } = await sentFor(type, turns)
    const read = messages.map(({ role, content, tool_calls }: Json) => [
      role,
      content,
      ...(tool_calls ?? []).map(({ id }: Json) => id),
    ])
    assert.deepEqual(read, [
      ['user', 'One\nTwo'],
      ['assistant', 'Look\nAnd', 'toolu_1', 'toolu_2'],
      ['tool', '1'],
      ['tool', '2'],
      ['user', 'Three\nFour'],
    ])
  }
})

test('consecutive contents of one role of a Gemini client are one turn for other servers', async () => {
  rig.upstream.rescript(openaiText('Hi'))
  const text = (role: string, value: string) => ({ role, parts: [{ text: value }] })
  const call = { role: 'model', parts: [{ functionCall: { name: 'f', args: {} } }] }
  const response = { role: 'user', parts: [{ functionResponse: { name: 'f', response: { output: '1' } } }] }
  const contents = [
    text('user', 'One'),
    text('user', 'Two'),
    text('model', 'Look'),
    call,
    text('user', 'Three'),
    response,
  ]
  await post(`${rig.router.url}/v1beta/models/vllm:generateContent`, { contents })
  assert.deepEqual(
    rig.sent().messages.map(({ role, content }: Json) => [role, content]),
    [
      ['user', 'One\nTwo'],
      ['assistant', 'Look'],
      ['tool', '1'],
      ['user', 'Three'],
    ],
  )
})

test('the image of a tool result and the text after it are one user message', async () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }
  const { messages } = await sentFor('vllm', [
    { role: 'user', content: 'Look' },
    { role: 'assistant', content: [use('toolu_1')] },
    { role: 'user', content: [result('toolu_1', [image]), { type: 'text', text: 'What is it?' }] },
  ])
  assert.deepEqual(
    messages.map(({ role }: Json) => role),
    ['user', 'assistant', 'tool', 'user'],
  )
  assert.deepEqual(messages.at(-1).content, [
    { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
    { type: 'text', text: 'What is it?' },
  ])
})

test('a conversation that begins with the assistant begins with a user turn where the server requires it', async () => {
  const tool_calls = [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }]
  const messages = [
    { role: 'assistant', content: null, tool_calls },
    { role: 'tool', tool_call_id: 'call_1', content: '1' },
  ]
  rig.upstream.rescript(geminiText('Hi'))
  assert.equal((await ask(rig, 'openai', 'gemini', { messages })).status, 200)
  assert.deepEqual(rig.sent().contents[0], { role: 'user', parts: [{ text: '(continue)' }] })
  rig.upstream.rescript(anthropicText('Hi'))
  assert.equal((await ask(rig, 'openai', 'anthropic', { messages })).status, 200)
  assert.deepEqual(
    rig.sent().messages.map(({ role }: Json) => role),
    ['user', 'assistant', 'user'],
  )
})
