import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { eventsIn } from '../helpers/events-in.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiChunk,
  openaiDone,
  openaiText,
  openaiToolCall,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

type Item = Record<string, unknown>

const search = { type: 'function', name: 'search', parameters: { type: 'object', properties: {} } }
const docs = { type: 'namespace', name: 'mcp__docs', description: 'Docs', tools: [search] }
const flat = 'mcp__docs__search'

describe('Codex with a server of another dialect', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('ok'))
    router = await startRouter({
      models: modelsConfig({
        m: [{ api_type: 'vllm', api_host: upstream.url, model_path: upstreamModel }],
      }),
    })
  })
  beforeEach(() => upstream.rescript(openaiText('ok')))
  after(async () => {
    await router.close()
    await upstream.close()
  })

  async function ask(
    body: object,
  ): Promise<{ status: number; lost: string | null; json: Item; text: string }> {
    const request = { model: 'm', input: 'hi', ...body }
    const { status, headers, text } = await post(`${router.url}/v1/responses`, request)
    const json = text.startsWith('{') ? JSON.parse(text) : {}
    return { status, lost: headers.get('x-llm-router-lost'), json, text }
  }
  const lastBody = (): Item => Object(upstream.requests.at(-1)?.body)
  function offered(): string[] {
    const { tools = [] }: { tools?: { function: { name: string } }[] } = lastBody()
    return tools.map((tool) => tool.function.name)
  }
  const itemsOf = ({ output }: Item): Item[] => (Array.isArray(output) ? output : [])
  async function calledItem(tools: object[], name: string, args: object): Promise<Item> {
    upstream.rescript(openaiToolCall(name, args))
    const { status, json } = await ask({ tools })
    assert.equal(status, 200)
    return itemsOf(json)[0] ?? {}
  }
  async function streamedEvents(tools: object[], name: string, args: object): Promise<Item[]> {
    const call = {
      index: 0,
      id: 'call_1',
      type: 'function',
      function: { name, arguments: JSON.stringify(args) },
    }
    const pieces = [openaiChunk({ tool_calls: [call] }), openaiChunk({}, 'tool_calls'), openaiDone]
    upstream.rescript({ kind: 'stream', pieces })
    const { text } = await ask({ tools, stream: true })
    return eventsIn(text)
  }

  test('the tools of a namespace are offered to the model, and their calls carry name and namespace', async () => {
    const item = await calledItem([docs], flat, { q: 'x' })
    assert.deepEqual(offered(), [flat])
    const { type, name, namespace, arguments: json } = item
    assert.deepEqual([type, name, namespace, json], ['function_call', 'search', 'mcp__docs', '{"q":"x"}'])
  })

  test('a streamed call carries name and namespace in every event', async () => {
    const events = await streamedEvents([docs], flat, { q: 'x' })
    const items = events.flatMap(({ item }) => (item ? [Object(item)] : []))
    assert.deepEqual(
      items.map(({ name, namespace }) => [name, namespace]),
      [
        ['search', 'mcp__docs'],
        ['search', 'mcp__docs'],
      ],
    )
    const done = events.find(({ type }) => type === 'response.function_call_arguments.done')
    assert.equal(done?.name, 'search')
  })

  test('a call in the history has the name under which the model was offered the tool', async () => {
    const called = {
      type: 'function_call',
      call_id: 'c1',
      name: 'search',
      namespace: 'mcp__docs',
      arguments: '{}',
    }
    const answered = { type: 'function_call_output', call_id: 'c1', output: 'found' }
    await ask({ tools: [docs], input: [{ role: 'user', content: 'hi' }, called, answered] })
    assert.match(String(upstream.requests.at(-1)?.raw), new RegExp(`"tool_calls":\\[.*"${flat}"`))
  })

  test('tool_choice may name a tool in a namespace, and allowed_tools a whole namespace', async () => {
    const other = { ...search, name: 'other' }
    const namespace = { ...docs, tools: [search, other] }
    const tools = [{ ...search, name: 'f' }, namespace]
    await ask({ tools, tool_choice: { type: 'function', name: 'search', namespace: 'mcp__docs' } })
    assert.deepEqual(lastBody().tool_choice, { type: 'function', function: { name: flat } })
    const allowed = {
      type: 'allowed_tools',
      mode: 'required',
      tools: [{ type: 'namespace', name: 'mcp__docs' }],
    }
    await ask({ tools, tool_choice: allowed })
    assert.deepEqual(offered(), [flat, 'mcp__docs__other'])
    assert.equal(lastBody().tool_choice, 'required')
  })

  test('tools whose flattened names are equal or too long get distinct names', async () => {
    const long = 'a'.repeat(60)
    const tools = [
      { ...search, name: flat },
      docs,
      {
        type: 'namespace',
        name: 'mcp__long',
        tools: [
          { ...search, name: `${long}1` },
          { ...search, name: `${long}2` },
        ],
      },
    ]
    await ask({ tools })
    const names = offered()
    assert.equal(new Set(names).size, 4)
    assert.ok(names.every((name) => /^[\w-]{1,64}$/.test(name)))
    const item = await calledItem(tools, names[3] ?? '', {})
    assert.deepEqual([item.name, item.namespace], [`${long}2`, 'mcp__long'])
    const plain = await calledItem(tools, flat, {})
    assert.deepEqual([plain.name, plain.namespace], [flat, undefined])
  })

  test('additional_tools in the input are offered to the model', async () => {
    const exec = { type: 'custom', name: 'exec', description: 'run' }
    const tools = [{ type: 'namespace', name: 'functions', tools: [exec] }]
    const added = { type: 'additional_tools', role: 'developer', tools }
    upstream.rescript(openaiToolCall('functions__exec', { input: 'ls' }))
    const { status, json } = await ask({ input: [added, { role: 'user', content: 'hi' }] })
    assert.equal(status, 200)
    assert.deepEqual(offered(), ['functions__exec'])
    const { type, name, namespace, input } = itemsOf(json)[0] ?? {}
    assert.deepEqual([type, name, namespace, input], ['custom_tool_call', 'exec', 'functions', 'ls'])
  })

  const toolSearch = { type: 'tool_search', execution: 'client', parameters: { type: 'object' } }

  test('tool_search is offered to the model, and a call to it becomes a tool_search_call', async () => {
    const item = await calledItem([toolSearch], 'tool_search', { query: 'docs' })
    const { type, execution, arguments: args, call_id: id } = item
    assert.deepEqual([type, execution, args], ['tool_search_call', 'client', { query: 'docs' }])
    assert.equal(id, 'call_upstream1')
    const events = await streamedEvents([toolSearch], 'tool_search', { query: 'docs' })
    const done = events.find(({ type: name }) => name === 'response.output_item.done')
    assert.deepEqual(Object(done?.item).arguments, { query: 'docs' })
  })

  test('tools found by a search are offered to the model, and the history contains the search', async () => {
    const called = {
      type: 'tool_search_call',
      call_id: 'c1',
      execution: 'client',
      arguments: { query: 'docs' },
    }
    const found = { type: 'tool_search_output', call_id: 'c1', execution: 'client', tools: [docs] }
    const { status } = await ask({
      tools: [toolSearch],
      input: [{ role: 'user', content: 'hi' }, called, found],
    })
    assert.equal(status, 200)
    assert.deepEqual(offered(), ['tool_search', flat])
    const roles = Object(lastBody()).messages.map(({ role }: { role: string }) => role)
    assert.deepEqual(roles, ['user', 'assistant', 'tool'])
  })

  const natives: [object, object, Item][] = [
    [
      { type: 'local_shell' },
      { command: ['ls'] },
      { type: 'local_shell_call', action: { type: 'exec', command: ['ls'], env: {} } },
    ],
    [
      { type: 'shell' },
      { commands: ['ls'] },
      { type: 'shell_call', action: { commands: ['ls'], timeout_ms: null, max_output_length: null } },
    ],
    [
      { type: 'apply_patch' },
      { type: 'delete_file', path: 'a' },
      { type: 'apply_patch_call', operation: { type: 'delete_file', path: 'a' } },
    ],
  ]
  for (const [tool, args, expected] of natives) {
    const name = String(Object(tool).type)
    test(`a tool that the client runs becomes a function for the model: ${name}`, async () => {
      const item = await calledItem([tool], name, args)
      assert.deepEqual({ ...item, ...expected }, item)
      const output = { type: `${name}_call_output`, call_id: item.call_id, output: 'done' }
      const { status } = await ask({ tools: [tool], input: [{ role: 'user', content: 'hi' }, item, output] })
      assert.equal(status, 200)
      const { messages } = Object(lastBody())
      const repeated = JSON.parse(messages[1].tool_calls[0].function.arguments)
      assert.deepEqual({ ...repeated, ...args }, repeated)
      assert.equal(messages[2].role, 'tool')
    })
  }

  test('an unknown input item does not cause the request to be rejected', async () => {
    const input = [
      { role: 'user', content: 'hi' },
      { type: 'hologram', payload: 'x' },
      { type: 'agent_note', content: [{ type: 'input_text', text: 'noted' }] },
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'go' },
          { type: 'input_scent', scent: 'rose' },
        ],
      },
    ]
    const { status, lost } = await ask({ input, tools: [{ type: 'time_travel' }] })
    assert.equal(status, 200)
    assert.match(String(lost), /input\.hologram/)
    assert.match(String(lost), /tools\.time_travel/)
    assert.match(String(upstream.requests.at(-1)?.raw), /noted.*go.*rose/)
  })

  test('a response that continues an earlier one keeps the tools added there', async () => {
    const added = { type: 'additional_tools', role: 'developer', tools: [docs] }
    const { json } = await ask({ input: [added, { role: 'user', content: 'hi' }] })
    upstream.rescript(openaiToolCall(flat, {}))
    const next = await ask({ previous_response_id: json.id, input: 'go' })
    assert.deepEqual(offered(), [flat])
    assert.equal(itemsOf(next.json)[0]?.namespace, 'mcp__docs')
  })
})
