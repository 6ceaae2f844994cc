import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { closedPort, openRequest, post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiError,
  openaiStream,
  openaiText,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

export const operatorKey = 'sk-operator-of-the-console-tests'
export const operator = { authorization: `Bearer ${operatorKey}` }

/** GET of a path below the prefix. */
export async function read<Body>(
  url: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Body> {
  const response = await fetch(`${url}/api${path}`, { headers })
  const text = await response.text()
  assert.equal(response.status, 200, text)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  return JSON.parse(text)
}

export const chat = (model: string, stream = false, content = 'a secret prompt') => ({
  model,
  stream,
  messages: [{ role: 'user', content }],
  ...(stream ? { stream_options: { include_usage: true } } : {}),
})

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

const loading: Behaviour = {
  kind: 'reply',
  status: 503,
  body: { error: { message: 'Loading model', type: 'unavailable_error', code: 503 } },
}

export interface SickFleet {
  router: TestRouter
  servers: Readonly<Record<string, ScriptedUpstream>>
  ask(model: string, stream?: boolean): Promise<number>
}

/**
 * A router with a model for each kind of problem, named after it, on a server of the same name: `healthy`, `dead` (refuses
 * connections), `frozen` (does not respond), `ejected` (503), `loading`, `rejecting` (401), and `saturated` (one slot, in use, and one
 * waiting request).
 */
export async function sickFleet(t: TestContext, env: Record<string, string> = {}): Promise<SickFleet> {
  const answering =
    (script: Script): Script =>
    (request, index) =>
      request.method === 'GET'
        ? { kind: 'reply', body: {} }
        : typeof script === 'function'
          ? script(request, index)
          : (script as Behaviour)
  const scripts: Record<string, Script> = {
    healthy: answering(({ body }) =>
      Object(body).stream === true ? openaiStream(['Hello', ' there'], { usage: true }) : openaiText('Hi'),
    ),
    frozen: { kind: 'hang' },
    ejected: answering(openaiError(503, { message: 'no' })),
    loading: answering(loading),
    rejecting: answering(openaiError(401, { message: 'no' })),
    saturated: answering({ kind: 'hang' }),
  }
  const servers: Record<string, ScriptedUpstream> = {}
  for (const [name, script] of Object.entries(scripts)) servers[name] = await startUpstream(script)
  const provider = (id: string, more: object = {}) => ({
    id,
    api_type: 'vllm',
    api_host: servers[id]?.url,
    api_token: 'sk-token-of-a-server',
    ...more,
  })
  t.after(() => Promise.all(Object.values(servers).map((server) => server.close())))
  const router = await startRouter({
    env: {
      LLM_ROUTER_HEALTH_INTERVAL: '1',
      LLM_ROUTER_LOADING_TIMEOUT: '0',
      LLM_ROUTER_BALANCE_STRATEGY: 'least_busy',
      LLM_ROUTER_ADMIN_KEY: operatorKey,
      ...env,
    },
    models: modelsConfig({
      healthy: [provider('healthy')],
      dead: [{ ...provider('dead'), api_host: await closedPort() }],
      frozen: [provider('frozen')],
      ejected: [provider('ejected'), { ...provider('healthy'), id: 'spare-1' }],
      loading: [provider('loading')],
      rejecting: [provider('rejecting'), { ...provider('healthy'), id: 'spare-2' }],
      saturated: [provider('saturated', { max_in_flight: 1 })],
    }),
  })
  const sockets: Awaited<ReturnType<typeof openRequest>>[] = []
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await router.close()
  })
  const ask: SickFleet['ask'] = async (model, stream) =>
    (await post(`${router.url}/v1/chat/completions`, chat(model, stream))).status
  sockets.push(await openRequest(router.url, '/v1/chat/completions', chat('saturated')))
  await eventually(() => servers.saturated?.requests.some(({ method }) => method === 'POST'))
  sockets.push(await openRequest(router.url, '/v1/chat/completions', chat('saturated')))
  for (let count = 0; count < 12; count++) await Promise.all([ask('ejected'), ask('rejecting')])
  await ask('loading')
  await ask('healthy', true)
  return { router, servers, ask }
}
