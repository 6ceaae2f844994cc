import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { anthropicText } from '../helpers/anthropic-answers.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiText,
  openaiToolCall,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

const billing = (nonce: string) => ({
  type: 'text',
  text: `x-anthropic-billing-header: cc_version=2.1; cch=${nonce};`,
})
const prompt = { type: 'text', text: 'You are Claude Code.' }

interface UpstreamMessage {
  role: string
  content: string
}

describe('Claude Code with servers of other dialects', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('ok'))
    const on = (api_type: string, more = {}) => [
      { api_type, api_host: upstream.url, model_path: upstreamModel, ...more },
    ]
    router = await startRouter({
      models: modelsConfig({
        vllm: on('vllm'),
        openai: on('openai'),
        keeping: on('vllm', { system_turns: 'keep' }),
        anthropic: on('anthropic'),
      }),
    })
  })
  beforeEach(() => upstream.rescript(openaiText('ok')))
  after(async () => {
    await router.close()
    await upstream.close()
  })

  const ask = (body: object) => post(`${router.url}/v1/messages`, { model: 'vllm', max_tokens: 50, ...body })
  function lastBody(): Record<string, unknown> & { messages: UpstreamMessage[] } {
    return Object(upstream.requests.at(-1)?.body)
  }
  async function turnsOf(messages: object[], model = 'vllm'): Promise<string[]> {
    const { status } = await ask({ model, system: 'Top', messages })
    assert.equal(status, 200)
    return lastBody().messages.map(({ role, content }) => `${role}: ${content ?? 'call'}`)
  }

  const user = (content: string) => ({ role: 'user', content })
  const system = (content: string) => ({ role: 'system', content })
  const said = (content: string) => ({ role: 'assistant', content })
  const call = (id: string) => ({
    role: 'assistant',
    content: [{ type: 'tool_use', id, name: 'f', input: {} }],
  })
  const result = (id: string) => ({
    role: 'user',
    content: [{ type: 'tool_result', tool_use_id: id, content: 'done' }],
  })
  const later = '<system>\nLater\n</system>'

  test('a later system turn becomes text of the user turn that follows it', async () => {
    const turns = await turnsOf([user('hi'), said('ok'), system('Later'), user('go')])
    assert.deepEqual(turns, ['system: Top', 'user: hi', 'assistant: ok', `user: ${later}\ngo`])
  })

  test('a later system turn after a user turn keeps its position in every following request', async () => {
    const history = [user('hi'), system('Later')]
    const first = await turnsOf(history)
    const second = await turnsOf([...history, said('ok'), user('go')])
    assert.deepEqual(first, ['system: Top', `user: hi\n${later}`])
    assert.deepEqual(second.slice(0, first.length), first)
  })

  test('a later system turn between a tool call and its result is moved after the result', async () => {
    const turns = await turnsOf([user('hi'), call('a'), system('Later'), result('a'), said('ok'), user('go')])
    const expected = ['system: Top', 'user: hi', 'assistant: call', 'tool: done']
    assert.deepEqual(turns, [...expected, `user: ${later}`, 'assistant: ok', 'user: go'])
  })

  test('leading system turns are joined', async () => {
    const turns = await turnsOf([system('More'), user('hi')])
    assert.deepEqual(turns, ['system: Top\n\nMore', 'user: hi'])
  })

  test('"system_turns": "keep" leaves system turns where they are', async () => {
    const turns = await turnsOf([user('hi'), system('Later'), said('ok')], 'keeping')
    assert.deepEqual(turns, ['system: Top', 'user: hi', 'system: Later', 'assistant: ok'])
  })

  for (const model of ['vllm', 'anthropic']) {
    test(`the system prompt does not depend on the billing header: ${model}`, async () => {
      if (model === 'anthropic') upstream.rescript(anthropicText('ok'))
      const sent: string[] = []
      for (const nonce of ['a1b2c', 'd3e4f']) {
        const { status } = await ask({ model, system: [billing(nonce), prompt], messages: [user('hi')] })
        assert.equal(status, 200)
        sent.push(String(upstream.requests.at(-1)?.raw))
      }
      assert.equal(sent[0], sent[1])
      assert.match(sent[0] ?? '', /You are Claude Code/)
      assert.doesNotMatch(sent[0] ?? '', /billing/)
    })
  }

  test('text after the billing header in the same block is kept', async () => {
    await ask({ system: `${billing('a').text}\nTop`, messages: [user('hi')] })
    assert.equal(lastBody().messages[0]?.content, 'Top')
    upstream.rescript(anthropicText('ok'))
    await ask({ model: 'anthropic', system: `${billing('a').text}\nTop`, messages: [user('hi')] })
    assert.equal(lastBody().system, 'Top')
  })

  test('the removal of the billing header is logged once', () => {
    const lines = router.logs.filter(({ msg }) => String(msg).includes('x-anthropic-billing-header'))
    assert.equal(lines.length, 1)
  })

  const offered = (): { name: string; parameters: { properties: object } }[] =>
    Object(lastBody()).tools.map((tool: { function: object }) => tool.function)

  const clientTools: [string, string, string[]][] = [
    ['bash_20250124', 'bash', ['command', 'restart']],
    ['text_editor_20250728', 'str_replace_based_edit_tool', ['command', 'path', 'old_str', 'insert_text']],
    ['text_editor_20250124', 'str_replace_editor', ['command', 'path']],
    ['memory_20250818', 'memory', ['command', 'path', 'new_path']],
    ['computer_20251124', 'computer', ['action', 'coordinate', 'region']],
  ]
  for (const [type, name, members] of clientTools) {
    test(`a tool that the client runs becomes a function for any model: ${type}`, async () => {
      upstream.rescript(openaiToolCall(name, { a: 1 }))
      const { status, text } = await ask({
        messages: [user('go')],
        tools: [{ type, name, display_width_px: 800, display_height_px: 600 }],
        tool_choice: { type: 'tool', name },
      })
      assert.equal(status, 200)
      const [tool] = offered()
      assert.equal(tool?.name, name)
      for (const member of members)
        assert.ok(Object.hasOwn(tool?.parameters.properties ?? {}, member), member)
      const block = JSON.parse(text).content[0]
      assert.deepEqual([block.type, block.name, block.input], ['tool_use', name, { a: 1 }])
    })
  }

  test('a tool of an unknown type becomes a function if it has a schema and is dropped otherwise', async () => {
    const odd = await ask({ messages: [user('go')], tools: [{ type: 'hologram_20270101', name: 'h' }] })
    assert.deepEqual([odd.status, odd.headers.get('x-llm-router-lost')], [200, 'tools.hologram_20270101'])
    const tools = [{ type: 'hologram_20270101', name: 'h', input_schema: { type: 'object' } }]
    await ask({ messages: [user('go')], tools })
    assert.equal(offered()[0]?.name, 'h')
  })

  test('tool references and unknown blocks in a tool result are sent as text', async () => {
    const content = [
      { type: 'tool_reference', tool_name: 'search_docs' },
      { type: 'hologram', shape: 'cube' },
      { type: 'note', text: 'noted' },
    ]
    const answered = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content }] }
    const { status } = await ask({ messages: [user('hi'), call('a'), answered] })
    assert.equal(status, 200)
    const result = lastBody().messages.find(({ role }) => role === 'tool')
    assert.match(result?.content ?? '', /search_docs[\s\S]*cube[\s\S]*noted/)
  })
})
