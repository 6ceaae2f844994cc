import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { completion, json, modelsWith, question, startCache } from './cache-setup.ts'

const keys = {
  alice: 'sk-alice-0123456789abcdef',
  bob: 'sk-bob-0123456789abcdef',
  eve: 'sk-eve-0123456789abcdef',
}
const alice = { id: 'alice', key: keys.alice }
const bob = { id: 'bob', key: keys.bob }
const as = (name: keyof typeof keys) => bearer(keys[name])
const adminKey = 'sk-admin-0123456789abcdef'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function setup(
  processors: object[],
  clients: object[] = [alice, bob],
  env: Record<string, string> = {},
) {
  const file = keysFile(clients)
  const cache = await startCache({
    processors,
    env: { ...file.env, LLM_ROUTER_ADMIN_KEY: adminKey, ...env },
  })
  open.push(() => file.remove(), cache.close)
  const empty = async (query: string): Promise<number> => {
    const response = await fetch(`${cache.router.url}/api/cache${query}`, {
      method: 'DELETE',
      headers: bearer(adminKey),
    })
    const text = await response.text()
    assert.equal(response.status, 200, text)
    return JSON.parse(text).removed
  }
  return { ...cache, file, empty }
}

test('a client gets its own cached responses and never those of another client', async () => {
  const { ask } = await setup([{ type: 'cache' }])
  await ask(question(), 'miss', as('alice'))
  await ask(question(), 'miss', as('bob'))
  await ask(question(), 'hit', as('alice'))
  await ask(question(), 'hit', as('bob'))
})

test('"scope": "all" shares responses among the cache\'s clients that have the same permissions', async () => {
  const eve = { id: 'eve', key: keys.eve, models: ['m'] }
  const { ask } = await setup(
    [{ type: 'cache', scope: 'all', clients: ['alice', 'bob', 'eve'] }],
    [alice, bob, eve],
  )
  await ask(question(), 'miss', as('alice'))
  await ask(question(), 'hit', as('bob'))
  await ask(question(), 'miss', as('eve'))
})

test('a cache applies only to the clients that it names', async () => {
  const { ask } = await setup([{ type: 'cache', clients: ['alice'] }])
  await ask(question(), 'miss', as('alice'))
  await ask(question(), 'hit', as('alice'))
  await ask(question(), null, as('bob'))
})

test('masked contents are stored masked, and each client gets its own values', async () => {
  const { ask, upstream } = await setup([{ type: 'cache', scope: 'all' }, { type: 'masking' }])
  const about = (address: string) => question(`Write to ${address}`)
  await ask(about('jan@example.com'), 'miss', as('alice'))
  await ask(about('jan@example.com'), 'hit', as('alice'))
  await ask(about('jan@example.com'), 'miss', as('bob'))
  await ask(about('anna@example.com'), 'miss', as('alice'))
  await ask(question('Write to nobody'), 'miss', as('alice'))
  await ask(question('Write to nobody'), 'hit', as('bob'))
  for (const { raw } of upstream.requests) assert.ok(!raw.includes('@example.com'))
})

test("a hit checks the client's permissions first, and counts as one request without tokens", async () => {
  const limited = { ...alice, requests_per_minute: 3, tokens_per_minute: 100_000 }
  const { ask, router, file } = await setup([{ type: 'cache' }], [limited, bob])
  await ask(question(), 'miss', as('alice'))
  await ask(question(), 'hit', as('alice'))
  const logged = router.requestLogged()
  await ask(question(), 'hit', as('alice'))
  const line = await logged
  assert.equal(line.cache, 'hit')
  assert.equal(line.prompt_tokens, undefined)
  const refused = await post(`${router.url}/v1/chat/completions`, question(), { ...json, ...as('alice') })
  assert.equal(refused.status, 429)
  file.write([{ ...alice, models: ['other'] }, bob])
  await router.app.reload.now()
  const hidden = await post(`${router.url}/v1/chat/completions`, question(), { ...json, ...as('alice') })
  assert.equal(hidden.status, 404)
})

test('"counts" sets whether a hit counts its tokens too, or nothing', async () => {
  const limited = { ...alice, requests_per_minute: 2 }
  const nothing = await setup([{ type: 'cache', counts: 'nothing' }], [limited])
  await nothing.ask(question(), 'miss', as('alice'))
  for (let round = 0; round < 4; round++) await nothing.ask(question(), 'hit', as('alice'))
  const tokens = await setup([{ type: 'cache', counts: 'tokens' }], [alice])
  await tokens.ask(question(), 'miss', as('alice'))
  const logged = tokens.router.requestLogged()
  await tokens.ask(question(), 'hit', as('alice'))
  assert.equal((await logged).prompt_tokens, 10)
})

test('the responses of a client that is revoked or has changed permissions are removed', async () => {
  const { ask, router, file } = await setup([{ type: 'cache' }])
  const other = question('and that?')
  for (const name of ['alice', 'bob'] as const) {
    await ask(question(), 'miss', as(name))
    await ask(other, 'miss', as(name))
  }
  file.write([bob])
  await router.app.reload.now()
  assert.equal(router.app.answerCache.sizes()?.answers, 2)
  file.write([alice, { ...bob, models: ['m'] }])
  await router.app.reload.now()
  await ask(question(), 'miss', as('alice'))
  await ask(question(), 'miss', as('bob'))
  assert.equal(router.app.answerCache.sizes()?.answers, 2)
})

test('DELETE P/cache removes the responses of a model, of a client or all, and requires an operator', async () => {
  const { empty, router } = await setup([{ type: 'cache' }])
  const fill = async (): Promise<void> => {
    for (const name of ['alice', 'bob'] as const)
      for (const model of ['m', 'other'])
        await post(`${router.url}/v1/chat/completions`, { ...question(), model }, { ...json, ...as(name) })
  }
  await fill()
  assert.equal(await empty('?model=m&client=alice'), 1)
  await fill()
  assert.equal(await empty('?client=bob'), 2)
  await fill()
  assert.equal(await empty('?model=other'), 2)
  await fill()
  assert.equal(await empty('?model=&client='), 4)
  const url = `${router.url}/api/cache`
  assert.equal((await fetch(url, { method: 'DELETE', headers: as('alice') })).status, 403)
  assert.equal((await fetch(url, { method: 'DELETE' })).status, 401)
  const mistyped = await fetch(`${url}?modle=m`, { method: 'DELETE', headers: bearer(adminKey) })
  assert.equal(mistyped.status, 400)
})

test('a clock that is set back after the cache was emptied does not disable the cache', async (t) => {
  const { ask, empty } = await setup([{ type: 'cache' }])
  const wall = t.mock.method(Date, 'now', () => performance.timeOrigin + performance.now() + 3_600_000)
  await ask(question(), 'miss', as('alice'))
  assert.equal(await empty(''), 1)
  wall.mock.restore()
  await ask(question(), 'miss', as('alice'))
  await ask(question(), 'hit', as('alice'))
})

test('a configuration change removes the responses that it affects', async () => {
  const { ask, reload, upstream, router } = await setup([{ type: 'cache' }])
  const both = ['m', 'other']
  const fill = async (outcomes: ('hit' | 'miss')[]): Promise<void> => {
    for (const [index, model] of both.entries())
      await ask({ ...question(), model }, outcomes[index] ?? null, as('alice'))
  }
  const changed = (of: object): object => {
    const models: ReturnType<typeof JSON.parse> = modelsWith([{ type: 'cache' }], upstream.url)
    Object.assign(models.g.m.providers[0], of)
    return models
  }
  await fill(['miss', 'miss'])
  await reload(changed({ weight: 0.5 }))
  await fill(['hit', 'hit'])
  await reload(changed({ defaults: { temperature: 0.1 } }))
  assert.equal(router.app.answerCache.sizes()?.answers, 1)
  await fill(['miss', 'hit'])
  await reload(changed({ model_path: 'another' }))
  await fill(['miss', 'hit'])
  await reload(modelsWith([{ type: 'cache' }, { type: 'masking' }], upstream.url))
  assert.equal(router.app.answerCache.sizes()?.answers, 0)
  await fill(['miss', 'miss'])
  await reload(modelsWith([{ type: 'masking' }], upstream.url))
  await ask(question(), null, as('alice'))
  assert.equal(router.app.answerCache.sizes()?.answers, 0)
  await reload(modelsWith([{ type: 'cache', ttl: 60 }, { type: 'masking' }], upstream.url))
  await fill(['miss', 'miss'])
})

test('a response requested before the cache was emptied is not stored afterwards', async () => {
  const gate = Promise.withResolvers<void>()
  const { router, upstream, empty, ask } = await setup([{ type: 'cache' }])
  upstream.rescript(() => gate.promise.then(() => ({ kind: 'reply', body: completion('late') })))
  const late = post(`${router.url}/v1/chat/completions`, question(), { ...json, ...as('alice') })
  await upstream.requestReceived(0)
  await empty('')
  gate.resolve()
  await late
  await ask(question(), 'miss', as('alice'))
})
