import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { chunk, hang, head, startFaultUpstream } from '../helpers/fault-upstream.ts'
import { closedPort, post } from '../helpers/http.ts'
import { startRouter } from '../helpers/router.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { clientDialects, requestIn } from './dialect-players.ts'
import { startEcho } from './echo-upstream.ts'

const address = 'jan.kowalski@firma.pl'
let echo: ScriptedUpstream
const open: { close(): Promise<void> }[] = []

before(async () => {
  echo = await startEcho({ say: () => ({ text: 'Fine.' }) })
})
after(() => echo.close())
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

async function routerWith(processors: unknown[], env: Record<string, string> = {}) {
  const providers = [{ api_type: 'vllm', api_host: echo.url, model_path: 'up' }]
  const router = await startRouter({
    models: { processors, g: { m: { providers } }, active_models: { g: ['m'] } },
    env,
  })
  open.push(router)
  return router
}

/** A service whose verdict depends on what it received. */
async function serviceWith(answer: (request: RecordedRequest) => unknown): Promise<ScriptedUpstream> {
  const service = await startUpstream((request) => ({ kind: 'reply', body: answer(request) }))
  open.push(service)
  return service
}

const chat = (content: string) => ({ model: 'm', messages: [{ role: 'user', content }] })

test('a blocked request is an error in each dialect, and no server receives it', async () => {
  const router = await routerWith([
    { type: 'guardrail', words: ['Blue Falcon'], expressions: ['(?i)drop\\s+table'] },
  ])
  const before = echo.requests.length
  for (const dialect of clientDialects)
    for (const stream of [false, true])
      for (const text of ['about blue  FALCON.', 'DROP table users', 'Blue F\u200balcon']) {
        const { path, body } = requestIn(dialect, text, { stream })
        const answer = await post(router.url + path, body)
        assert.equal(answer.status, 400, answer.text)
        assert.equal(answer.headers.get('x-should-retry'), 'false')
        assert.match(answer.text, /blocked by 'guardrail'/)
      }
  assert.equal(echo.requests.length, before)
  assert.equal((await post(`${router.url}/v1/chat/completions`, chat('blue falcons'))).status, 200)
})

test('services judge contents only, masked unless they run before masking', async () => {
  const seen: string[] = []
  const judge = await serviceWith(({ raw }) => {
    seen.push(raw.toString())
    return { safe: !raw.includes('bad') }
  })
  const service = { type: 'http', url: `${judge.url}/judge` }
  for (const [more, isMasked] of [
    [{}, true],
    [{ before: 'masking' }, false],
  ] as const) {
    const router = await routerWith([{ type: 'guardrail', service, ...more }, { type: 'masking' }])
    assert.equal((await post(`${router.url}/v1/chat/completions`, chat(`good ${address}`))).status, 200)
    assert.equal(seen.at(-1)?.includes(address), !isMasked)
    assert.deepEqual(Object.keys(JSON.parse(seen.at(-1) ?? '')), ['contents'])
    const blocked = await post(`${router.url}/v1/chat/completions`, chat('bad'))
    assert.deepEqual([blocked.status, JSON.parse(blocked.text).error.code], [400, 'content_filter'])
  }
})

test('a service whose response has no end is cut off, whatever its timeout', async () => {
  const mebi = 1024 * 1024
  const most = 64
  const service = await startFaultUpstream(function* () {
    yield head(['content-type: application/json', 'transfer-encoding: chunked'])
    for (let sent = 0; sent < most; sent++) yield chunk(' '.repeat(mebi))
    yield hang
  })
  open.push(service)
  const router = await routerWith([
    { type: 'guardrail', timeout: 600, service: { type: 'http', url: `${service.url}/judge` } },
  ])
  const { status, text } = await post(`${router.url}/v1/chat/completions`, chat('good'))
  assert.deepEqual([status, JSON.parse(text).error.code], [503, 'processor_failed'])
  await service.idle()
  assert.ok(service.sentBytes < most * mebi)
})

test('guardrails of the Python router and the moderations API are supported', async () => {
  const service = await serviceWith(({ url, body }) => {
    const isBad = JSON.stringify(body).includes('bad')
    if (url.includes('/moderations')) {
      const input = isObject(body) && Array.isArray(body.input) ? body.input : []
      return { results: input.map(() => ({ flagged: isBad })) }
    }
    return { results: { safe: !isBad, detailed: [] } }
  })
  for (const judge of [
    { type: 'nask_guard', url: service.url },
    { type: 'sojka_guard', url: service.url },
    { type: 'moderations', url: `${service.url}/v1/moderations`, model: 'omni' },
  ]) {
    const router = await routerWith([{ type: 'guardrail', service: judge }])
    assert.equal((await post(`${router.url}/v1/chat/completions`, chat('good'))).status, 200)
    assert.equal((await post(`${router.url}/v1/chat/completions`, chat('bad'))).status, 400)
  }
  assert.ok(service.requests.some(({ url }) => url === '/api/guardrails/sojka_guard'))
})

test('LLM_ROUTER_FORCE_GUARDRAIL_REQUEST judges every request with all of its services', async () => {
  const nask = await serviceWith(() => ({ results: { safe: true } }))
  const sojka = await serviceWith(({ raw }) => ({ results: { safe: !raw.includes('bad') } }))
  const router = await routerWith([], {
    LLM_ROUTER_FORCE_GUARDRAIL_REQUEST: '1',
    LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_REQUEST: 'nask_guard,sojka_guard',
    LLM_ROUTER_GUARDRAIL_NASK_GUARD_HOST: nask.url,
    LLM_ROUTER_GUARDRAIL_SOJKA_GUARD_HOST: sojka.url,
  })
  assert.equal((await post(`${router.url}/v1/chat/completions`, chat('good'))).status, 200)
  assert.equal((await post(`${router.url}/v1/chat/completions`, chat('bad'))).status, 400)
  assert.equal(nask.requests.length, 2)
})

test('"flag" lets a request pass and records it; a failing guardrail rejects it or lets it pass', async () => {
  const flagging = await routerWith([{ type: 'guardrail', words: ['secret'], action: 'flag' }])
  const logged = flagging.requestLogged()
  assert.equal((await post(`${flagging.url}/v1/chat/completions`, chat('a secret'))).status, 200)
  assert.deepEqual((await logged).processors, [{ processor: 'guardrail', outcome: 'flagged', values: 0 }])
  const nonsense = await serviceWith(() => ({ results: {} }))
  for (const url of [nonsense.url, await closedPort()]) {
    const entry = { type: 'guardrail', timeout: 1, service: { type: 'sojka_guard', url } }
    const closed = await routerWith([entry])
    assert.equal((await post(`${closed.url}/v1/chat/completions`, chat('x'))).status, 503)
    for (const lenient of [{ failure: 'open' }, { action: 'flag' }]) {
      const router = await routerWith([{ ...entry, ...lenient }])
      assert.equal((await post(`${router.url}/v1/chat/completions`, chat('x'))).status, 200)
    }
    const strict = await routerWith([{ ...entry, action: 'flag', failure: 'closed' }])
    assert.equal((await post(`${strict.url}/v1/chat/completions`, chat('x'))).status, 503)
  }
})

test('configuration errors of guardrails prevent startup, each with its path', async () => {
  const service = { type: 'http', url: 'https://judge.example.com/x' }
  for (const [entry, expected] of [
    [{}, /processors\[0\]: a guardrail needs words, expressions or a service/],
    [{ expressions: ['x(?=y)'] }, /processors\[0\]\.expressions\[0\]: look-around at character 2/],
    [{ service, before: 'masking' }, /processors\[0\]\.before: .*outside the local network/],
    [{ words: ['x'], sample: 0.5 }, /processors\[0\]\.sample: only with "action": "flag"/],
  ] as const)
    await assert.rejects(routerWith([{ type: 'guardrail', ...entry }]), expected)
})
