import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { isObject, objectsIn } from '../../src/lib/json/read.ts'
import { post } from '../helpers/http.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { startRouter } from '../helpers/router.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const address = 'jan.kowalski@firma.pl'
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

let guardTokens = 10
const answering = (content: string, prompt_tokens: number) => ({
  id: 'c',
  object: 'chat.completion',
  created: 1,
  model: 'up',
  usage: { prompt_tokens, completion_tokens: 2, total_tokens: prompt_tokens + 2 },
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
})
const isGuard = ({ body }: RecordedRequest): boolean => isObject(body) && body.model === 'guard-up'

/** A server of both models: one that answers, and Llama Guard. */
async function serverWith(
  verdict: (request: RecordedRequest) => string | Promise<string>,
): Promise<ScriptedUpstream> {
  const server = await startUpstream(async (request) => ({
    kind: 'reply',
    body: isGuard(request) ? answering(await verdict(request), guardTokens) : answering('Here you are.', 10),
  }))
  open.push(server)
  return server
}

function config(
  server: ScriptedUpstream,
  guard: Record<string, unknown>,
  more: Record<string, unknown> = {},
) {
  const provider = (model_path: string) => ({ api_type: 'vllm', api_host: server.url, model_path })
  return {
    processors: [{ type: 'guardrail', ...guard }, { type: 'masking' }],
    g: { m: { providers: [provider('up')] }, guard: { providers: [provider('guard-up')], ...more } },
    active_models: { g: ['m', 'guard'] },
  }
}

const service = { type: 'model', model: 'guard' }
const chat = (content: string) => ({ model: 'm', messages: [{ role: 'user', content }] })
const turnsOf = ({ body }: RecordedRequest): unknown[] =>
  isObject(body) ? objectsIn(body.messages).map(({ role, content }) => [role, content]) : []

test('a model of the router judges requests and responses, without its own processors, and masked', async () => {
  const server = await serverWith((request) => (request.raw.includes('bad') ? 'unsafe\nS1' : '\n\nsafe'))
  const router = await startRouter({
    models: config(server, { on: 'both', service }),
    env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
  })
  open.push(router)
  const good = await post(`${router.url}/v1/chat/completions`, chat(`Write to ${address}`))
  assert.equal(good.status, 200, good.text)
  const asked = server.requests.filter(isGuard).map(turnsOf)
  assert.equal(asked.length, 2)
  assert.match(JSON.stringify(asked[0]), /^\[\["user","Write to EMAIL_\w+"\]\]$/)
  assert.match(
    JSON.stringify(asked[1]),
    /^\[\["user","Write to EMAIL_\w+"\],\["assistant","Here you are."\]\]$/,
  )
  const blocked = await post(`${router.url}/v1/chat/completions`, chat('bad'))
  assert.deepEqual([blocked.status, JSON.parse(blocked.text).error.code], [400, 'content_filter'])
  const internal = router.logs.filter(({ msg }) => msg === 'internal call')
  assert.deepEqual(
    internal.map(({ model }) => model),
    ['guard', 'guard', 'guard'],
  )
  const metrics = await (await fetch(`${router.url}/metrics`)).text()
  assert.match(metrics, /client="internal"/)
})

test('a guard model without a clear verdict, or without one in time, fails closed', async () => {
  const never = Promise.withResolvers<string>()
  for (const verdict of [() => 'perhaps', () => never.promise]) {
    const server = await serverWith(verdict)
    const router = await startRouter({ models: config(server, { service, timeout: 0.3 }) })
    open.push(router)
    const { status, text } = await post(`${router.url}/v1/chat/completions`, chat('x'))
    assert.deepEqual([status, JSON.parse(text).error.code], [503, 'processor_failed'])
    assert.ok(server.requests.every(isGuard))
  }
  never.resolve('safe')
})

test('a client that disconnects aborts the request to the guard model', async () => {
  const never = Promise.withResolvers<string>()
  const server = await serverWith(() => never.promise)
  const router = await startRouter({ models: config(server, { service }) })
  open.push(router)
  const leave = new AbortController()
  const asking = fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(chat('x')),
    signal: leave.signal,
  })
  await server.requestReceived(0)
  leave.abort()
  await assert.rejects(asking)
  await server.requestClosed(0)
  never.resolve('safe')
})

test("the guard model's tokens count for the client unless configured otherwise", async () => {
  guardTokens = 6_000
  for (const book of [true, false]) {
    const server = await serverWith(() => 'safe')
    const key = 'k'.repeat(24)
    const keys = keysFile([{ id: 'a', key, models: ['m'], tokens_per_minute: 10_000 }])
    const models = config(server, { service })
    const router = await startRouter({
      models,
      env: { ...keys.env, LLM_ROUTER_BOOK_INTERNAL_CALLS: String(book) },
    })
    open.push(router, { close: async () => keys.remove() })
    const ask = () =>
      post(`${router.url}/v1/chat/completions`, chat('x'), {
        'content-type': 'application/json',
        ...bearer(key),
      })
    const first = await ask()
    assert.equal(first.status, 200, first.text)
    await router.requestLogged(first.headers.get('x-request-id') ?? '')
    const left = Number((await ask()).headers.get('x-ratelimit-remaining-tokens'))
    assert.equal(left < 4_000, book, String(left))
  }
})

test('a guard model that could wait for the target of the judged request prevents startup', async () => {
  const server = await serverWith(() => 'safe')
  const env = { LLM_ROUTER_BALANCE_STRATEGY: 'first_available' }
  const models = config(server, { on: 'response', service })
  await assert.rejects(
    startRouter({ models, env }),
    /processors\[0\]\.service\.model: .*could wait for themselves/,
  )
  for (const [guard, more] of [
    [{ on: 'request', service }, {}],
    [{ on: 'response', service, models: ['m'] }, {}],
    [{ on: 'response', service }, { strategy: 'balanced' }],
  ] as const)
    open.push(await startRouter({ models: config(server, guard, more), env }))
  await assert.rejects(
    startRouter({ models: config(server, { service: { type: 'model', model: 'gard' } }) }),
    /processors\[0\]\.service\.model: no active model "gard".*guard/,
  )
})
