import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

/** Long enough to matter: about 1,500 tokens. */
const longText = 'The quick brown fox jumps over the lazy dog, and so on. '.repeat(110)

let servers: ScriptedUpstream[]
let router: TestRouter

const answers =
  (behaviour: Behaviour = openaiText('Well.')) =>
  ({ url }: { url: string }): Behaviour =>
    url.endsWith('/responses') ? { kind: 'reply', status: 404, body: { detail: 'Not Found' } } : behaviour

async function routerOver(upstreams: readonly ScriptedUpstream[]): Promise<TestRouter> {
  return startRouter({
    env: { LLM_ROUTER_BALANCE_STRATEGY: 'cache_aware' },
    models: modelsConfig({
      m: upstreams.map(({ url }, index) => ({ id: `s${index}`, api_type: 'vllm', api_host: url })),
    }),
  })
}

before(async () => {
  servers = await Promise.all(Array.from({ length: 4 }, () => startUpstream(answers())))
  router = await routerOver(servers)
})
after(async () => {
  await router.close()
  await Promise.all(servers.map((server) => server.close()))
})

type Message = { role: string; content: string }

/** The server that answered, by its index. */
async function ask(
  body: object,
  {
    to = router,
    path = '/v1/chat/completions',
    headers = {},
  }: { to?: TestRouter; path?: string; headers?: object } = {},
): Promise<{ server: number; text: string }> {
  const counts = servers.map(({ requests }) => chats(requests))
  const { status, text } = await post(
    to.url + path,
    { model: 'm', ...body },
    {
      'content-type': 'application/json',
      ...headers,
    },
  )
  assert.equal(status, 200, text)
  return { server: servers.findIndex(({ requests }, index) => chats(requests) !== counts[index]), text }
}

function chats(requests: ScriptedUpstream['requests']): number {
  return requests.filter(({ url }) => url.includes('/chat/')).length
}

function grow(messages: Message[], turn: number): Message[] {
  return [
    ...messages,
    { role: 'assistant', content: 'Well.' },
    { role: 'user', content: `And then, ${turn}?` },
  ]
}

test('cache_aware: every turn of a conversation goes to the server of the turn before', async () => {
  const conversations = Array.from({ length: 12 }, (_, index) => ({
    messages: [{ role: 'user', content: `Story ${index}: ${longText}` }],
    used: new Set<number>(),
  }))
  for (let turn = 0; turn < 4; turn++) {
    for (const conversation of conversations) {
      conversation.used.add((await ask({ messages: conversation.messages })).server)
      conversation.messages = grow(conversation.messages, turn)
    }
  }
  for (const { used } of conversations) assert.equal(used.size, 1)
  assert.equal(new Set(conversations.flatMap(({ used }) => [...used])).size, servers.length)
})

test('cache_aware: the order of the members of the body does not matter', async () => {
  const tools = [
    { type: 'function', function: { name: 'f', description: longText, parameters: { type: 'object' } } },
  ]
  const used = new Set<number>()
  for (let turn = 0; turn < 6; turn++) {
    const messages = [{ role: 'user', content: `Question ${turn}` }]
    const body = turn % 2 === 0 ? { tools, temperature: 0, messages } : { messages, user: undefined, tools }
    used.add((await ask(body)).server)
  }
  assert.equal(used.size, 1)
})

test('cache_aware: requests with the same long system prompt go to the same server', async () => {
  const used = new Set<number>()
  for (let question = 0; question < 8; question++) {
    const messages = [
      { role: 'system', content: `A shared prompt. ${longText.repeat(3)}` },
      { role: 'user', content: `Question ${question}` },
    ]
    used.add((await ask({ messages })).server)
  }
  assert.equal(used.size, 1)
})

test("cache_aware: Claude Code's billing line does not separate its requests", async () => {
  const used = new Set<number>()
  for (let request = 0; request < 6; request++) {
    const system = [
      {
        type: 'text',
        text: `x-anthropic-billing-header: cc_version=2; nonce=${request * 7919}\nYou are Claude. ${longText}`,
      },
    ]
    const messages = [{ role: 'user', content: `Question ${request}` }]
    used.add((await ask({ system, messages, max_tokens: 9 }, { path: '/v1/messages' })).server)
  }
  assert.equal(used.size, 1)
})

test('cache_aware: a session stays on its server, whatever its prompts are', async () => {
  const named: ((id: string) => { headers?: object; body?: object; path?: string })[] = [
    (id) => ({ headers: { 'x-llm-router-session': id } }),
    (id) => ({ headers: { session_id: id } }),
    (id) => ({ headers: { 'x-claude-code-session-id': id }, path: '/v1/messages', body: { max_tokens: 9 } }),
    (id) => ({
      path: '/v1/messages',
      body: { max_tokens: 9, metadata: { user_id: `user_0a1b_account_2c3d_session_${id}` } },
    }),
  ]
  for (const [kind, name] of named.entries()) {
    const all = new Set<number>()
    for (let session = 0; session < 8; session++) {
      const used = new Set<number>()
      const { headers = {}, body = {}, path = '/v1/chat/completions' } = name(`session-${kind}-${session}`)
      for (let request = 0; request < 3; request++) {
        const messages = [{ role: 'user', content: `${kind} ${session} ${request} ${longText}` }]
        used.add((await ask({ ...body, messages }, { path, headers })).server)
      }
      assert.equal(used.size, 1)
      for (const server of used) all.add(server)
    }
    assert.ok(all.size > 1)
  }
})

test('cache_aware: previous_response_id leads to the server of that response', async () => {
  for (let conversation = 0; conversation < 4; conversation++) {
    const first = await ask({ input: `Story ${conversation}. ${longText}` }, { path: '/v1/responses' })
    const { id } = JSON.parse(first.text)
    const second = await ask({ input: 'And?', previous_response_id: id }, { path: '/v1/responses' })
    assert.equal(second.server, first.server)
  }
})

test('cache_aware: concurrent requests with a hot prompt spread over the servers', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const counts = servers.map(({ requests }) => requests.length)
  for (const server of servers) {
    server.rescript(async () => {
      await promise
      return openaiText('Well.')
    })
  }
  const content = `One tenant. ${longText}`
  const asked = Array.from({ length: 80 }, (_, index) =>
    post(`${router.url}/v1/chat/completions`, {
      model: 'm',
      messages: [
        { role: 'system', content },
        { role: 'user', content: `Question ${index}. ${longText.slice(0, 800)}` },
      ],
    }),
  )
  const arrived = () => servers.map(({ requests }, index) => requests.length - (counts[index] ?? 0))
  await Promise.all(servers.map((server, index) => server.requestReceived((counts[index] ?? 0) + 5)))
  resolve()
  for (const { status } of await Promise.all(asked)) assert.equal(status, 200)
  for (const server of servers) server.rescript(answers())
  assert.ok(Math.max(...arrived()) < 1.6 * 20, String(arrived()))
})

test('cache_aware: routers that do not know of each other send a conversation to the same server', async () => {
  const other = await routerOver(servers)
  const third = await routerOver(servers)
  try {
    for (let conversation = 0; conversation < 6; conversation++) {
      const session = { 'x-llm-router-session': `shared-${conversation}` }
      const messages = [{ role: 'user', content: `Tale ${conversation}: ${longText}` }]
      const plain = [{ role: 'user', content: `Saga ${conversation}: ${longText}` }]
      const [first, second] = [
        await ask({ messages }, { to: other, headers: session }),
        await ask({ messages: plain }, { to: other }),
      ]
      assert.equal(
        (await ask({ messages: grow(messages, 1) }, { to: third, headers: session })).server,
        first.server,
      )
      assert.equal((await ask({ messages: grow(plain, 1) }, { to: third })).server, second.server)
    }
  } finally {
    await other.close()
    await third.close()
  }
})

test('cache_aware: a conversation moves when its server is gone, and stays where it moved to', async () => {
  const messages = [{ role: 'user', content: `The last one. ${longText}` }]
  const { server } = await ask({ messages })
  await servers[server]?.close()
  const next = await ask({ messages: grow(messages, 1) })
  assert.notEqual(next.server, server)
  const later = await ask({ messages: grow(grow(messages, 1), 2) })
  assert.equal(later.server, next.server)
})
