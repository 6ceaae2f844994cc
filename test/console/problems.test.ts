import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FormatRegistry } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type Problem, ProblemsSchema, severities } from '../../src/sdk/console/problems.ts'
import { expiredPair } from '../helpers/certificates/test-ca.ts'
import { eventually } from '../helpers/eventually.ts'
import { closedPort, openRequest, post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { chat, operator, operatorKey, read, sickFleet } from './fleet.ts'

FormatRegistry.Set('date-time', (text) => new Date(text).toISOString() === text)

async function problemsOf(url: string, headers = operator): Promise<Problem[]> {
  const problems = await read<{ problems: Problem[] }>(url, '/problems', headers)
  assert.deepEqual([...Value.Errors(ProblemsSchema, problems)], [])
  return problems.problems
}

/** Problems as last seen, once each of these has been seen. Some end by themselves: an ejected server is probed again. */
async function problemsWith(
  url: string,
  ids: readonly string[],
  cause: () => Promise<unknown> = async () => undefined,
): Promise<Map<string, Problem>> {
  const found = new Map<string, Problem>()
  return await eventually(async () => {
    for (const problem of await problemsOf(url)) found.set(problem.id, problem)
    if (ids.every((id) => found.has(id))) return found
    await cause()
    return undefined
  })
}

test('each kind of problem has a text and an action, and the worst ones come first', async (t) => {
  const { router, ask } = await sickFleet(t)
  const ids = [
    'target:dead:down',
    'target:frozen:down',
    'target:ejected:ejected',
    'target:loading:loading',
    'target:rejecting:misconfigured',
    'model:saturated:saturated',
    'model:dead:no_usable_target',
  ]
  // An ejection ends by itself, on a busy machine before it was seen.
  const found = await problemsWith(router.url, ids, () => ask('ejected'))
  const texts = (id: string) => [found.get(id)?.text, found.get(id)?.action]
  assert.deepEqual(texts('target:rejecting:misconfigured'), [
    "rejecting rejects the router's key (401)",
    'Check api_token of this provider',
  ])
  assert.equal(found.get('target:dead:down')?.text, 'dead refuses connections')
  assert.equal(found.get('target:frozen:down')?.text, 'frozen does not answer its health checks')
  assert.match(
    found.get('target:ejected:ejected')?.text ?? '',
    /^ejected is ejected after failures: \d+ of \d+ in the last minute, the last time it answered 503 \(Service Unavailable\)$/,
  )
  assert.match(found.get('target:ejected:ejected')?.action ?? '', /tried again (?:now|in \d+ s)/)
  assert.equal(found.get('model:dead:no_usable_target')?.text, 'No server of dead is usable: dead is down')
  assert.equal(
    found.get('model:saturated:saturated')?.text,
    '1 request for saturated waits for 1 server with 1 slot',
  )
  assert.ok([...found.values()].every(({ subject }) => subject.name !== 'healthy'))
  const order = (await problemsOf(router.url)).map(({ severity }) => severities.indexOf(severity))
  assert.deepEqual(order, order.toSorted())
  for (const { since } of found.values()) assert.ok(Date.parse(since ?? '') <= Date.now())
  const again = await problemsWith(router.url, ['target:rejecting:misconfigured'])
  assert.equal(
    again.get('target:rejecting:misconfigured')?.since,
    found.get('target:rejecting:misconfigured')?.since,
  )
  assert.ok(!JSON.stringify([...found]).includes('sk-token'))
})

test('a rejected reload, an unknown model and a drained server are problems until they are resolved', async (t) => {
  const models = {
    one: [
      { id: 'a', api_type: 'mock' },
      { id: 'b', api_type: 'mock' },
    ],
  }
  const router = await startRouter({
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey },
    models: modelsConfig(models),
  })
  t.after(() => router.close())
  assert.deepEqual(await problemsOf(router.url), [])
  await post(`${router.url}/v1/chat/completions`, chat('two'))
  await fetch(`${router.url}/api/targets/a/drain`, { method: 'POST', headers: operator })
  const rejected = router.logged(({ msg }) => /stay in effect/.test(String(msg)))
  writeFileSync(router.file, JSON.stringify(modelsConfig({ one: [{ id: 'a', api_type: 'mokc' }] })))
  await rejected
  assert.deepEqual(
    (await problemsOf(router.url)).map(({ severity, code, subject }) => [severity, code, subject.name]),
    [
      ['error', 'reload_failed', 'LLM_ROUTER_MODELS_CONFIG'],
      ['warning', 'unknown_model', 'two'],
      ['info', 'drained', 'a'],
    ],
  )
  await fetch(`${router.url}/api/targets/a/resume`, { method: 'POST', headers: operator })
  const reloaded = router.logged(({ msg }) => msg === 'models-config.json reloaded')
  writeFileSync(
    router.file,
    JSON.stringify(modelsConfig({ ...models, three: [{ id: 'c', api_type: 'mock' }] })),
  )
  await reloaded
  assert.deepEqual(
    (await problemsOf(router.url)).map(({ code }) => code),
    ['unknown_model'],
  )
})

test('problems require an operator key if one is configured, and are public without keys', async (t) => {
  const models = modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] })
  const [open, closed] = [
    await startRouter({ models }),
    await startRouter({ models, env: { LLM_ROUTER_ADMIN_KEY: operatorKey } }),
  ]
  t.after(() => Promise.all([open.close(), closed.close()]))
  assert.deepEqual(await problemsOf(open.url, {} as typeof operator), [])
  assert.deepEqual(await problemsOf(closed.url), [])
  assert.equal((await fetch(`${closed.url}/api/problems`)).status, 401)
})

test('requests to a model without a usable server are a problem of the server, not of capacity', async (t) => {
  const router = await startRouter({
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey },
    models: modelsConfig({ dead: [{ id: 'a', api_type: 'vllm', api_host: await closedPort() }] }),
  })
  t.after(() => router.close())
  const ids = ['model:dead:refusing', 'model:dead:no_usable_target']
  const found = await problemsWith(router.url, ids, () =>
    post(`${router.url}/v1/chat/completions`, chat('dead')),
  )
  assert.equal(found.get('model:dead:refusing')?.action, 'Bring a server of the model back: none is usable')
})

test('a full queue is a problem, and so are the requests that it rejects', async (t) => {
  const upstream = await startUpstream({ kind: 'hang' })
  const router = await startRouter({
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey, LLM_ROUTER_QUEUE_SIZE: '1' },
    models: modelsConfig({
      saturated: [{ id: 'a', api_type: 'vllm', api_host: upstream.url, max_in_flight: 1 }],
    }),
  })
  t.after(() => Promise.all([router.close(), upstream.close()]))
  const path = '/v1/chat/completions'
  const sockets = [await openRequest(router.url, path, chat('saturated'))]
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  await upstream.requestReceived(0)
  sockets.push(await openRequest(router.url, path, chat('saturated')))
  await problemsWith(router.url, ['model:saturated:queue_full'])
  assert.equal((await post(`${router.url}${path}`, chat('saturated'))).status, 503)
  const found = await problemsWith(router.url, ['model:saturated:queue_full', 'model:saturated:refusing'])
  assert.equal(
    found.get('model:saturated:queue_full')?.text,
    'The queue of saturated is full: 1 request waits for 1 server with 1 slot',
  )
  assert.equal(
    found.get('model:saturated:refusing')?.text,
    '1 request for saturated was rejected in the last minute',
  )
})

test('the client certificate for a server is a problem before it expires', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-certificate-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'cert.pem'), expiredPair.cert)
  writeFileSync(join(folder, 'key.pem'), expiredPair.key)
  const router = await startRouter({
    models: modelsConfig({
      one: [
        {
          id: 'dgx6',
          api_type: 'vllm',
          api_host: 'https://127.0.0.1:9',
          client_cert_file: join(folder, 'cert.pem'),
          client_key_file: join(folder, 'key.pem'),
        },
      ],
    }),
  })
  t.after(() => router.close())
  assert.deepEqual(
    (await problemsOf(router.url)).map(({ severity, text }) => [severity, text]),
    [['error', 'The client certificate for dgx6 has expired']],
  )
})
