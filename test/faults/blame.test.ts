import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { closedPort, post, type RawAnswer } from '../helpers/http.ts'
import { scrape } from '../helpers/metrics.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiChunk,
  openaiError,
  openaiText,
  type RecordedRequest,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'

interface Fleet {
  router: TestRouter
  servers: ScriptedUpstream[]
  /** The router's name of the model that the test calls `name`. */
  nameOf(model: string): string
  /** The target of the model `m` on the server with this letter. */
  targetOn(letter: string): string
  /** A chat with this text; `more` adds members to the body. */
  ask(text: string, more?: object, model?: string): Promise<RawAnswer>
  /** Requests that each server received since the last call. */
  counts(): number[]
}

interface FleetOptions {
  strategy?: string
  /** By default, the fleet replaces the previous one in a router that the tests share. */
  env?: Record<string, string>
  /** Further models by name, with the indexes of their servers. */
  models?: Record<string, number[]>
  fallbacks?: string[]
}

const env = { LLM_ROUTER_LOG_LEVEL: 'info', LLM_ROUTER_USE_PROMETHEUS: '1' }
const shared = new SharedRouter(env)
let fleets = 0

after(() => shared.close())

/** The model `m` on one server per script, in this order. */
async function startFleet(t: TestContext, scripts: Script[], options: FleetOptions = {}): Promise<Fleet> {
  const servers = await Promise.all(scripts.map((script) => startUpstream(script)))
  t.after(() => Promise.all(servers.map((server) => server.close())))
  const number = ++fleets
  const nameOf = (model: string): string => `${model}${number}`
  const provider = (index: number, model: string) => ({
    id: `${nameOf(model)}-${'abcdefgh'[index]}`,
    api_type: 'vllm',
    api_host: servers[index]?.url ?? assert.fail('no such server'),
    model_path: 'up',
  })
  const all: Record<string, number[]> = { m: servers.map((_, index) => index), ...options.models }
  const models = modelsConfig(
    Object.fromEntries(
      Object.entries(all).map(([name, of]) => [nameOf(name), of.map((index) => provider(index, name))]),
    ),
  ) as { test_models: Record<string, object> }
  const strategy = options.strategy ?? 'first_available'
  for (const model of Object.values(models.test_models)) Object.assign(model, { strategy })
  if (options.fallbacks)
    Object.assign(models.test_models[nameOf('m')] ?? {}, { fallbacks: options.fallbacks.map(nameOf) })
  const router = options.env
    ? await startRouter({ env: { ...env, ...options.env }, models })
    : await shared.with(models)
  t.after(() => router.close())
  let seen = servers.map(() => 0)
  return {
    router,
    servers,
    nameOf,
    targetOn: (letter) => `${nameOf('m')}-${letter}`,
    ask: (text, more = {}, model = 'm') =>
      post(`${router.url}/v1/chat/completions`, {
        model: nameOf(model),
        messages: [{ role: 'user', content: text }],
        ...more,
      }),
    counts() {
      const now = servers.map(({ requests }) => requests.length)
      const since = now.map((count, index) => count - (seen[index] ?? 0))
      seen = now
      return since
    },
  }
}

const broken = openaiError(500, { message: 'internal' })
const good = openaiText('good')
const strategies = [
  'first_available',
  'first_available_optim',
  'balanced',
  'weighted',
  'dynamic_weighted',
  'least_busy',
  'adaptive',
]
const textOf = ({ raw }: RecordedRequest): string => raw.toString()
/** Fails requests that contain `poison`, answers all others. */
const breaksOn =
  (failure = broken, answer = good): Script =>
  (request) =>
    textOf(request).includes('poison') ? failure : answer

async function answered(fleet: Fleet, texts: readonly string[]): Promise<number> {
  let count = 0
  for (const text of texts) {
    const { status } = await fleet.ask(text)
    if (status === 200) count++
  }
  return count
}

describe('two broken servers out of three cause no failed request', () => {
  for (const strategy of strategies) {
    for (const kind of ['equal', 'different']) {
      test(`${strategy}, ${kind} bodies, from the first request on`, async (t) => {
        const fleet = await startFleet(t, [broken, broken, good], { strategy })
        const texts = Array.from({ length: 30 }, (_, index) => (kind === 'equal' ? 'hi' : `hi ${index}`))
        assert.equal(await answered(fleet, texts), texts.length)
        const [toA = 0, toB = 0] = fleet.counts()
        assert.ok(toA <= 6 && toB <= 6, `${toA} and ${toB} requests to the broken servers`)
        // These two strategies avoid the broken servers on their own and ask them too rarely to eject them.
        if (strategy === 'adaptive' || strategy === 'first_available_optim') return
        const series = await scrape(fleet.router.url)
        for (const target of [fleet.targetOn('a'), fleet.targetOn('b')])
          assert.equal(series.sum('llm_router_target_usable', { target }), 0, `${target} is ejected`)
        assert.equal(series.sum('llm_router_target_usable', { target: fleet.targetOn('c') }), 1)
      })
    }
  }

  test('also after the servers worked before, with many concurrent requests', async (t) => {
    const fleet = await startFleet(t, [good, good, good], { strategy: 'balanced' })
    assert.equal(await answered(fleet, Array(12).fill('hi')), 12)
    fleet.servers[0]?.rescript(broken)
    fleet.servers[1]?.rescript(broken)
    const statuses = await Promise.all(Array.from({ length: 40 }, () => fleet.ask('hi')))
    assert.equal(statuses.filter(({ status }) => status === 200).length, 40)
  })
})

test('two servers that fail 40 % of their requests cause no failure among 400 requests', async (t) => {
  let count = 0
  // Follows no regular pattern: 40 of 100 in a fixed shuffled order.
  const flaky: Script = () => ((count++ * 37) % 100 < 40 ? broken : good)
  const fleet = await startFleet(t, [flaky, flaky, good], {
    strategy: 'balanced',
  })
  let lost = 0
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => fleet.ask('hi')))
    lost += answers.filter(({ status }) => status !== 200).length
  }
  assert.equal(lost, 0)
})

test('five broken servers out of six fail one request at most', async (t) => {
  for (const strategy of strategies) {
    const fleet = await startFleet(t, [broken, broken, broken, broken, broken, good], { strategy })
    assert.ok((await answered(fleet, Array(30).fill('hi'))) >= 29, strategy)
  }
})

test('a server that cannot read images is passed over for image requests only', async (t) => {
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
  const blind: Script = (request) =>
    textOf(request).includes('image_url')
      ? openaiError(500, { message: 'image input is not supported - hint: provide the mmproj' })
      : good
  const fleet = await startFleet(t, [blind, blind, good])
  const withImage = (index: number) =>
    fleet.ask('', { messages: [{ role: 'user', content: [{ type: 'text', text: `look ${index}` }, image] }] })
  for (let index = 0; index < 8; index++) assert.equal((await withImage(index)).status, 200)
  fleet.counts()
  assert.equal((await withImage(9)).status, 200)
  assert.deepEqual(fleet.counts(), [0, 0, 1], 'only the server that reads images receives them')
  assert.equal((await fleet.ask('hi')).status, 200)
  assert.deepEqual(fleet.counts(), [1, 0, 0], 'the first server still receives everything else')
})

test('valid requests succeed in between those of a client whose requests fail on every server', async (t) => {
  for (const strategy of ['first_available', 'balanced']) {
    const fleet = await startFleet(t, [breaksOn(), breaksOn(), breaksOn()], { strategy })
    for (let turn = 0; turn < 12; turn++) {
      assert.equal((await fleet.ask(`poison ${turn}`)).status, 502)
      assert.equal((await fleet.ask('hi')).status, 200)
    }
    for (let turn = 0; turn < 12; turn++) assert.equal((await fleet.ask(`poison, again ${turn}`)).status, 502)
    fleet.counts()
    for (let turn = 0; turn < 10; turn++) assert.equal((await fleet.ask('hi')).status, 200)
    assert.equal(
      fleet.counts().reduce((sum, count) => sum + count),
      10,
      'each at the first attempt',
    )
  }
})

test('a request that fails everywhere reaches three servers at most', async (t) => {
  const fleet = await startFleet(t, Array(5).fill(broken))
  assert.equal((await fleet.ask('hi')).status, 502)
  assert.deepEqual(fleet.counts(), [1, 1, 1, 0, 0])
  assert.equal((await fleet.ask('hi')).status, 502)
  assert.deepEqual(fleet.counts().slice(3), [1, 1], 'suspected servers come last')
})

for (const message of ["model 'up' not found", 'model is not loaded'])
  test(`a server that answers 400 "${message}" is passed over, and the client gets an answer`, async (t) => {
    const lacking: Script = () => openaiError(400, { code: 400, message, type: 'invalid_request_error' })
    const fleet = await startFleet(t, [lacking, good])
    assert.equal((await fleet.ask('hi')).status, 200)
    assert.equal((await fleet.ask('hi', { stream: true })).status, 200)
    assert.equal((await fleet.ask('hi')).status, 200)
    fleet.counts()
    assert.equal((await fleet.ask('hi')).status, 200)
    assert.deepEqual(fleet.counts(), [0, 1], 'it counts as misconfigured, like a server that answers 404')
  })

test("a 400 about the request is the client's error even if its message mentions a model", async (t) => {
  const message = 'This model does not support the tool that was not found'
  const fleet = await startFleet(t, [() => openaiError(400, { message }), good])
  assert.equal((await fleet.ask('hi')).status, 400)
  assert.deepEqual(fleet.counts(), [1, 0])
})

describe('a request that every server refuses', () => {
  const refusals: [status: number, error: object, returned: number][] = [
    [401, { message: 'denied' }, 502],
    [402, { message: 'no credit' }, 502],
    [403, { message: 'blocked by policy' }, 403],
    [404, { message: 'No such file: file-1' }, 404],
    [404, { message: 'The model `lora-x` does not exist.', code: 'model_not_found' }, 404],
    // llama.cpp in router mode
    [400, { code: 400, message: "model 'up' not found", type: 'invalid_request_error' }, 404],
    [400, { code: 400, message: 'model is not loaded', type: 'invalid_request_error' }, 404],
    // LM Studio
    [400, { code: 'model_not_found', message: 'Failed to load model "up"', param: 'model' }, 404],
  ]
  for (const [status, error, returned] of refusals) {
    test(`with ${status} ${JSON.stringify(error)} gets ${returned} and affects no other client`, async (t) => {
      const refusing = breaksOn(openaiError(status, error))
      const fleet = await startFleet(t, [refusing, refusing, good], {
        strategy: 'balanced',
        models: { two: [0, 1] },
      })
      assert.equal((await fleet.ask('hi', {}, 'two')).status, 200)
      assert.equal((await fleet.ask('hi', {}, 'two')).status, 200)
      for (let index = 0; index < 6; index++) {
        assert.equal((await fleet.ask(`poison ${index}`, {}, 'two')).status, returned)
        assert.equal((await fleet.ask('hi', {}, 'two')).status, 200)
      }
      const ready = await fetch(`${fleet.router.url}/readyz`)
      assert.equal(ready.status, 200)
    })
  }

  test('leaves a cold model available to the next client', async (t) => {
    const refusing = breaksOn(openaiError(401, { message: 'x' }))
    const fleet = await startFleet(t, [refusing, refusing])
    for (let index = 0; index < 4; index++) await fleet.ask(`poison ${index}`)
    assert.equal((await fetch(`${fleet.router.url}/readyz`)).status, 200)
    assert.equal((await fleet.ask('hi')).status, 200)
  })
})

test("a server that rejects the router's key comes last and is reported as misconfigured", async (t) => {
  const fleet = await startFleet(t, [openaiError(401, { message: 'bad key' }), good], {
    strategy: 'balanced',
  })
  for (let index = 0; index < 10; index++) assert.equal((await fleet.ask(`hi ${index}`)).status, 200)
  assert.equal(fleet.counts()[0], 1, 'one rejection is enough for a server that never answered')
  const labels = { target: fleet.targetOn('a'), reason: 'misconfigured' }
  assert.equal((await scrape(fleet.router.url)).sum('llm_router_target_resting', labels), 1)
  const line = await fleet.router.logged(
    ({ msg, target }) => msg === 'target misconfigured' && target === fleet.targetOn('a'),
  )
  assert.match(String(line.reason), /api_token/)
  const status = JSON.parse(await (await fetch(`${fleet.router.url}/api/status`)).text())
  const [target] = status.models[0].targets
  assert.equal(target.state, 'misconfigured')
  assert.match(target.reason, /401.*api_token/)
})

test('a rejected key on the only server is a 502 with code upstream_auth', async (t) => {
  const fleet = await startFleet(t, [openaiError(401, { message: 'bad key' })])
  for (let index = 0; index < 3; index++) {
    const { status, text } = await fleet.ask('hi')
    assert.deepEqual([status, JSON.parse(text).error.code], [502, 'upstream_auth'])
  }
  assert.deepEqual(fleet.counts(), [3], 'it stays in use because it is the only server')
  const labels = { target: fleet.targetOn('a'), reason: 'misconfigured' }
  assert.equal((await scrape(fleet.router.url)).sum('llm_router_target_resting', labels), 1)
})

test('chats to a model without chat support do not affect its embeddings', async (t) => {
  const embedding = { kind: 'reply', body: { data: [{ index: 0, embedding: [1] }], usage: {} } } as const
  const script: Script = ({ url }) =>
    url.includes('embeddings') ? embedding : { kind: 'reply', status: 404, body: { detail: 'Not Found' } }
  const fleet = await startFleet(t, [script])
  const embed = () => post(`${fleet.router.url}/v1/embeddings`, { model: fleet.nameOf('m'), input: 'x' })
  assert.equal((await embed()).status, 200)
  for (const path of [
    '/v1/chat/completions',
    '/v1/messages',
    '/api/chat',
    '/v1/responses',
    '/v1/completions',
  ]) {
    const asked = path.endsWith('responses')
      ? { input: 'hi' }
      : { messages: [{ role: 'user', content: 'hi' }], prompt: 'hi', max_tokens: 5 }
    const body = { model: fleet.nameOf('m'), stream: false, ...asked }
    const { status, text } = await post(`${fleet.router.url}${path}`, body)
    assert.equal(status, 400, `${path}: ${text}`)
    assert.match(text, /does not support/)
    assert.equal((await embed()).status, 200)
  }
})

describe('a 429', () => {
  const tooLarge = openaiError(
    429,
    { message: 'Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7214.' },
    { 'retry-after': '30' },
  )

  test('about the size of one request causes no pause, whatever its headers say', async (t) => {
    const fleet = await startFleet(t, [breaksOn(tooLarge), breaksOn(tooLarge)])
    for (let index = 0; index < 5; index++) {
      const { status, text } = await fleet.ask(`poison ${index}`)
      assert.equal(status, 429)
      assert.match(text, /Limit 6000/)
      assert.equal((await fleet.ask('hi')).status, 200)
    }
  })

  test('without a wait does not pause the only server of a model', async (t) => {
    const fleet = await startFleet(t, [breaksOn(openaiError(429, { message: 'slow down' }))])
    for (let index = 0; index < 5; index++) {
      assert.equal((await fleet.ask(`poison ${index}`)).status, 429)
      assert.equal((await fleet.ask('hi')).status, 200)
    }
  })

  const waits: [headers: Record<string, string | string[] | (() => string)>, seconds: number][] = [
    [{ 'retry-after': '20' }, 20],
    [{ 'retry-after': ['20', '40'] }, 40],
    [{ 'retry-after-ms': '20000' }, 20],
    [{ 'retry-after': '86400' }, 300],
    [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '1m5s' }, 65],
    [{ 'x-ratelimit-remaining-requests': '7', 'x-ratelimit-reset-requests': '6m0s', 'retry-after': '3' }, 3],
    [
      {
        'anthropic-ratelimit-tokens-remaining': '0',
        'anthropic-ratelimit-tokens-reset': () => new Date(Date.now() + 90_000).toISOString(),
      },
      90,
    ],
    [
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': () => `${Math.floor(Date.now() / 1000) + 45}` },
      45,
    ],
  ]
  for (const [given, seconds] of waits) {
    test(`with ${Object.entries(given).join(' ')} pauses the server for about ${seconds} s`, async (t) => {
      const headers = Object.fromEntries(
        Object.entries(given).map(([name, value]) => [name, typeof value === 'function' ? value() : value]),
      )
      const fleet = await startFleet(t, [
        { kind: 'reply', status: 429, headers, body: { error: { message: 'x' } } },
      ])
      await fleet.ask('hi')
      fleet.counts()
      const answer = await fleet.ask('hi')
      assert.equal(answer.status, 429)
      assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/)
      const returned = Number(answer.headers.get('retry-after'))
      assert.ok(returned <= seconds && returned > seconds - 15, `${returned}`)
      assert.deepEqual(fleet.counts(), [0], 'it receives nothing while it is paused')
    })
  }

  test('that names a limit with something remaining implies no wait', async (t) => {
    const headers = { 'x-ratelimit-remaining-tokens': '10', 'x-ratelimit-reset-tokens': '6m0s' }
    const fleet = await startFleet(t, [openaiError(429, { message: 'x' }, headers)])
    await fleet.ask('hi')
    await fleet.ask('hi')
    assert.deepEqual(fleet.counts(), [2])
  })
})

test('a 503 with Retry-After for one request does not affect other requests', async (t) => {
  const failing = breaksOn(openaiError(503, { message: 'x' }, { 'retry-after': '100' }))
  const fleet = await startFleet(t, [failing, failing])
  for (let index = 0; index < 5; index++) {
    const { status } = await fleet.ask(`poison ${index}`)
    assert.ok(status >= 500)
    assert.equal((await fleet.ask('hi')).status, 200)
  }
})

test('streams that break after their first content eject no target if no other target answered', async (t) => {
  const cut = { kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })], ending: 'cut' } as const
  const fleet = await startFleet(t, [breaksOn(cut), breaksOn(cut)])
  for (let index = 0; index < 12; index++) {
    assert.match((await fleet.ask(`poison ${index}`, { stream: true })).text, /"error"/)
  }
  assert.equal((await fleet.ask('hi')).status, 200)
})

describe('a fallback model', () => {
  test('answers for a broken one, which is ejected after different requests and probed later', async (t) => {
    const fleet = await startFleet(t, [broken, good], {
      models: { m: [0], spare: [1] },
      fallbacks: ['spare'],
    })
    for (let index = 0; index < 20; index++) assert.equal((await fleet.ask(`hi ${index}`)).status, 200)
    assert.equal(fleet.counts()[0], 5, 'the broken one receives no more requests')
  })

  test('answers one client repeatedly without the model being ejected for others', async (t) => {
    const fleet = await startFleet(t, [breaksOn(), good], {
      models: { m: [0], spare: [1] },
      fallbacks: ['spare'],
    })
    for (let index = 0; index < 20; index++) assert.equal((await fleet.ask('poison')).status, 200)
    const { headers } = await fleet.ask('hi')
    assert.equal(headers.get('x-llm-router-model'), fleet.nameOf('m'), 'its own model answers')
  })

  test('is asked immediately while the only server of a model asks for a pause', async (t) => {
    const busy = openaiError(429, { message: 'x' }, { 'retry-after': '30' })
    const fleet = await startFleet(t, [busy, good], { models: { m: [0], spare: [1] }, fallbacks: ['spare'] })
    for (let index = 0; index < 3; index++) assert.equal((await fleet.ask('hi')).status, 200)
    assert.deepEqual(fleet.counts(), [1, 3])
  })
})

test('a request that fails over while the configuration is reloaded is not sent to the same server again', async (t) => {
  const slow = Promise.withResolvers<void>()
  const fleet = await startFleet(t, [
    async () => {
      await slow.promise
      return broken
    },
    good,
  ])
  const asked = fleet.ask('hi')
  await fleet.servers[0]?.requestReceived(0)
  const changed = JSON.parse(readFileSync(fleet.router.file, 'utf8'))
  for (const provider of changed.test_models[fleet.nameOf('m')].providers) provider.weight = 0.5
  writeFileSync(fleet.router.file, JSON.stringify(changed))
  await fleet.router.app.reload.now()
  slow.resolve()
  assert.equal((await asked).status, 200)
  assert.deepEqual(fleet.counts(), [1, 1])
})

describe('a request that crashes servers', () => {
  const mortal = join(import.meta.dirname, '../fixtures/mortal-upstream.ts')
  async function startMortal(t: TestContext): Promise<{ url: string; process: ChildProcess }> {
    const child = fork(mortal)
    t.after(() => child.kill('SIGKILL'))
    const [message] = await once(child, 'message')
    return { url: String(message), process: child }
  }

  for (const connections of ['new', 'kept-alive']) {
    test(`reaches two of them over ${connections} connections, and no third`, async (t) => {
      const servers = [await startMortal(t), await startMortal(t), await startMortal(t)]
      let died = 0
      const deaths = servers.map(() => Promise.withResolvers<void>())
      for (const { process } of servers) process.once('exit', () => deaths[died++]?.resolve())
      const router = await startRouter({
        models: modelsConfig({
          m: servers.map(({ url }, index) => ({ id: `s${index}`, api_type: 'vllm', api_host: url })),
        }),
      })
      t.after(() => router.close())
      const ask = (content: string) =>
        post(`${router.url}/v1/chat/completions`, { model: 'm', messages: [{ role: 'user', content }] })
      // Over kept-alive connections, and over new ones.
      if (connections === 'kept-alive') for (let index = 0; index < 6; index++) await ask('hi')
      const { status, headers } = await ask('die')
      assert.equal(status, 502)
      assert.equal(headers.get('x-should-retry'), 'false')
      await Promise.all(deaths.slice(0, 2).map(({ promise }) => promise))
      assert.equal(died, 2)
      for (let index = 0; index < 5; index++) assert.equal((await ask('hi')).status, 200)
    })
  }

  test('is distinguished from one that meets two servers which close connections and stay up', async (t) => {
    const fleet = await startFleet(t, [{ kind: 'reset' }, { kind: 'reset' }, good])
    assert.equal(await answered(fleet, Array(10).fill('hi')), 10)
  })
})

test('servers that refuse connections use up none of the three attempts of a request', async (t) => {
  const upstream = await startUpstream(good)
  const gone = await Promise.all(Array.from({ length: 5 }, closedPort))
  const urls = [...gone, upstream.url]
  const router = await startRouter({
    env: { LLM_ROUTER_BALANCE_STRATEGY: 'first_available' },
    models: modelsConfig({
      m: urls.map((url, index) => ({ id: `s${index}`, api_type: 'vllm', api_host: url })),
    }),
  })
  t.after(async () => {
    await router.close()
    await upstream.close()
  })
  const body = { model: 'm', messages: [{ role: 'user', content: 'x' }] }
  assert.equal((await post(`${router.url}/v1/chat/completions`, body)).status, 200)
})

test('a server that cannot be reached is ejected after any two requests', async (t) => {
  const url = await closedPort()
  const router = await startRouter({
    models: modelsConfig({ m: [{ id: 'gone', api_type: 'vllm', api_host: url }] }),
  })
  t.after(() => router.close())
  const ask = () =>
    post(`${router.url}/v1/chat/completions`, { model: 'm', messages: [{ role: 'user', content: 'x' }] })
  assert.deepEqual([(await ask()).status, (await ask()).status], [502, 502])
  const { status, headers } = await ask()
  assert.equal(status, 503)
  assert.ok(Number(headers.get('retry-after')) >= 1)
})

describe('an answer that has begun counts as a success', () => {
  /** A stream that continues until the test ends it. */
  function longStream(): { script: Script; end(): void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    const pieces = [openaiChunk({ content: 'Hi' }), promise, openaiChunk({}, 'stop'), 'data: [DONE]\n\n']
    return { script: { kind: 'stream', pieces }, end: resolve }
  }

  test('five broken servers out of six fail one request at most while the answers of the sixth still run', async (t) => {
    const { script, end } = longStream()
    const fleet = await startFleet(t, [broken, broken, broken, broken, broken, script], {
      strategy: 'balanced',
    })
    const statuses = []
    const running = []
    for (let index = 0; index < 12; index++) {
      const answer = await startChat(fleet, `hi ${index}`)
      statuses.push(answer.status)
      running.push(answer.text())
    }
    end()
    await Promise.all(running)
    assert.ok(statuses.filter((status) => status === 200).length >= 11, `${statuses}`)
  })

  test('one broken server is ejected while the answers of the other still run', async (t) => {
    const { script, end } = longStream()
    const fleet = await startFleet(t, [broken, script], { strategy: 'balanced' })
    const running = []
    for (let index = 0; index < 12; index++) running.push((await startChat(fleet, `hi ${index}`)).text())
    assert.equal(fleet.counts()[0], 5)
    end()
    await Promise.all(running)
  })

  function startChat({ router, nameOf }: Fleet, content: string): Promise<Response> {
    const body = { model: nameOf('m'), messages: [{ role: 'user', content }], stream: true }
    const headers = { 'content-type': 'application/json' }
    return fetch(`${router.url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) })
  }
})

test('the last attempt waits for the only working server if each server accepts one request at a time', async (t) => {
  const strategy = 'first_available'
  const fleet = await startFleet(t, [broken, broken, broken, broken, broken, good], { strategy })
  assert.ok((await answered(fleet, Array(4).fill('hi'))) >= 3)
  const taken = Promise.withResolvers<void>()
  fleet.servers[5]?.rescript(async () => {
    await taken.promise
    return good
  })
  const asked = Array.from({ length: 6 }, (_, index) => fleet.ask(`hi ${index}`))
  await fleet.servers[5]?.requestReceived(fleet.servers[5].requests.length)
  // Requests that gave up while the working server was occupied would have done so by the end of these.
  for (let index = 0; index < 10; index++) await fetch(`${fleet.router.url}/healthz`)
  taken.resolve()
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  assert.deepEqual(statuses, Array(6).fill(200))
})

test('a key rejected for embeddings is reported like one rejected for chats', async (t) => {
  const fleet = await startFleet(t, [openaiError(401, { message: 'bad key' })])
  const { status } = await post(`${fleet.router.url}/v1/embeddings`, { model: fleet.nameOf('m'), input: 'x' })
  assert.equal(status, 502)
  const labels = { target: fleet.targetOn('a'), reason: 'misconfigured' }
  assert.equal((await scrape(fleet.router.url)).sum('llm_router_target_resting', labels), 1)
  const state = JSON.parse(await (await fetch(`${fleet.router.url}/api/status`)).text()).state
  assert.equal(state, 'degraded', 'it stays in use because it is the only server')
})

test('if two servers ask for a pause during one request, the client receives the shorter wait', async (t) => {
  const pause = (seconds: string) => openaiError(429, { message: 'x' }, { 'retry-after': seconds })
  const fleet = await startFleet(t, [pause('30'), pause('100')])
  const { status, headers } = await fleet.ask('hi')
  assert.deepEqual([status, headers.get('retry-after')], [429, '30'])
})

test('queued requests fail immediately when the only server becomes unreachable', async (t) => {
  const fleet = await startFleet(t, [{ kind: 'hang' }], { env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05' } })
  const asked = Array.from({ length: 5 }, (_, index) => fleet.ask(`hi ${index}`))
  await fleet.servers[0]?.requestReceived(0)
  await fleet.servers[0]?.close()
  const answers = await Promise.all(asked)
  assert.ok(answers.every(({ status }) => status === 502 || status === 503))
  assert.match(answers.at(-1)?.headers.get('retry-after') ?? '', /^\d+$/)
})

test('a server that loads during a reload is not waited for if another server replaces it', async (t) => {
  const fleet = await startFleet(t, [openaiError(503, { message: 'Loading model' }), good], {
    models: { m: [0] },
  })
  const asked = fleet.ask('hi')
  await fleet.servers[0]?.requestReceived(0)
  const { file } = fleet.router
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replaceAll(fleet.servers[0]?.url ?? '', fleet.servers[1]?.url ?? ''),
  )
  await fleet.router.app.reload.now()
  assert.equal((await asked).status, 200)
})
