import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { byPath } from '../helpers/engine-answers.ts'
import { openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  ollamaText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { engineOf } from '../helpers/status-events.ts'

const path = '/v1/chat/completions'

async function startOllama(
  t: TestContext,
  loaded: readonly string[],
  chat: () => Behaviour = () => ollamaText('Hi'),
): Promise<ScriptedUpstream> {
  const models = loaded.map((name) => ({ name, model: name, context_length: 4096 }))
  const upstream = await startUpstream(
    byPath({
      '/api/version': { kind: 'reply', body: { version: '0.9.0' } },
      '/api/ps': { kind: 'reply', body: { models } },
      '/api/chat': chat,
    }),
  )
  t.after(() => upstream.close())
  return upstream
}

const chats = ({ requests }: ScriptedUpstream) => requests.filter(({ url }) => url === '/api/chat').length

for (const strategy of ['balanced', 'adaptive', 'first_available'])
  test(`${strategy} prefers the server that has the model loaded`, async (t) => {
    const cold = await startOllama(t, ['other:latest'])
    const warm = await startOllama(t, ['m:latest'])
    const router = await startRouter({
      env: { LLM_ROUTER_HEALTH_INTERVAL: '5', LLM_ROUTER_BALANCE_STRATEGY: strategy },
      models: modelsConfig({
        m: [
          { id: 'cold', api_type: 'ollama', api_host: cold.url },
          { id: 'warm', api_type: 'ollama', api_host: warm.url },
        ],
      }),
    })
    t.after(() => router.close())
    await Promise.all([engineOf(router.url, 'cold'), engineOf(router.url, 'warm')])
    for (let count = 0; count < 4; count++)
      assert.equal((await post(router.url + path, { model: 'm', messages })).status, 200)
    assert.deepEqual([chats(cold), chats(warm)], [0, 4])
  })

test('a server that must load the model is used once the wait for the loaded one is longer', async (t) => {
  const cold = await startOllama(t, [])
  const warm = await startOllama(t, ['m'], () => ({ kind: 'hang' }))
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '5' },
    models: modelsConfig({
      m: [
        { id: 'warm', api_type: 'ollama', api_host: warm.url },
        { id: 'cold', api_type: 'ollama', api_host: cold.url },
      ],
    }),
  })
  t.after(() => router.close())
  await Promise.all([engineOf(router.url, 'cold'), engineOf(router.url, 'warm')])
  const clients = []
  // A response is expected to take seconds, and a load ten.
  for (let count = 0; count < 20 && chats(cold) === 0; count++) {
    const open = warm.requests.length
    clients.push(await openRequest(router.url, path, { model: 'm', messages }, `r${count}`))
    await Promise.race([
      cold.requestReceived(cold.requests.length),
      warm.requestReceived(open),
      router.requestLogged(`r${count}`),
    ])
  }
  assert.ok(chats(cold) >= 1)
  assert.ok(chats(warm) >= 3, `${chats(warm)} at the loaded server`)
  for (const client of clients) client.destroy()
})
