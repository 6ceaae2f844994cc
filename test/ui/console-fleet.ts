import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vllmMetrics } from '../helpers/engine-answers.ts'
import { closedPort } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiError,
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { adminKey, requestsTo, type TeamRouter, teamEnv } from '../teams/team-router.ts'

export { adminKey }

const loading: Behaviour = {
  kind: 'reply',
  status: 503,
  body: { error: { message: 'Loading model', type: 'unavailable_error', code: 503 } },
}

/** A responding vLLM, with the load that its metrics report. */
function vllm(
  text: string,
  load: Parameters<typeof vllmMetrics>[0],
): (request: { url: string; method: string; body: unknown }) => Behaviour {
  return ({ url, method, body }) => {
    if (url === '/metrics')
      return { kind: 'reply', headers: { 'content-type': 'text/plain' }, body: vllmMetrics(load) }
    if (method === 'GET') return { kind: 'reply', body: { object: 'list', data: [] } }
    const isStream = Object(body).stream === true
    return isStream ? openaiStream(text.match(/\S+\s*/g) ?? []) : openaiText(text)
  }
}

export interface ConsoleFleet extends Pick<TeamRouter, 'admin' | 'chat'> {
  readonly router: TestRouter
  /** The key of the client `alice`. */
  readonly key: string
  /** Sends one request of each kind that an operator may want to see: successful, retried, failed, rejected, unknown. */
  traffic(): Promise<void>
  close(): Promise<void>
}

/** A router with servers in each state, clients in groups, prices and budgets. */
export async function startConsoleFleet(env: Record<string, string> = {}): Promise<ConsoleFleet> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-console-'))
  const servers: ScriptedUpstream[] = []
  const server = async (script: Parameters<typeof startUpstream>[0]): Promise<string> => {
    const started = await startUpstream(script)
    servers.push(started)
    return started.url
  }
  const words =
    'A router in front of several servers sends each request to the one that will answer it first.'
  const healthy = {
    api_type: 'mock',
    mock: { reply: words, tokens_per_second: 90, first_token_ms: 40 },
    input_size: 32_768,
  }
  const router = await startRouter({
    env: {
      ...teamEnv(`sqlite:${join(folder, 'router.db')}`),
      LLM_ROUTER_HEALTH_INTERVAL: '1',
      LLM_ROUTER_USE_PROMETHEUS: '1',
      LLM_ROUTER_USAGE_SPOOL: folder,
      LLM_ROUTER_QUEUE_TIMEOUT: '60',
      ...env,
    },
    models: {
      active_models: {
        chat: ['llama-3.3-70b', 'qwen3-32b', 'gpt-oss-120b', 'gemma-3-27b'],
        embed: ['bge-m3'],
      },
      chat: {
        'llama-3.3-70b': {
          fallbacks: ['qwen3-32b'],
          capabilities: ['completion', 'tools', 'thinking'],
          strategy: 'weighted',
          providers: [
            { id: 'dgx1', ...healthy, weight: 1 },
            {
              id: 'dgx2',
              api_type: 'vllm',
              api_host: await server(vllm(words, { running: 2, waiting: 1 })),
              weight: 0.5,
              input_size: 32_768,
            },
            { id: 'dgx3', api_type: 'vllm', api_host: await closedPort(), weight: 0.5 },
            { id: 'dgx4', api_type: 'vllm', api_host: await server({ kind: 'hang' }), weight: 0.2 },
          ],
          providers_sleep: [{ id: 'dgx9', ...healthy }],
        },
        'qwen3-32b': {
          providers: [
            { id: 'a100-1', ...healthy, mock: { ...healthy.mock, first_token_ms: 120 } },
            {
              id: 'a100-2',
              api_type: 'vllm',
              api_host: await server(({ method }) =>
                method === 'GET' ? { kind: 'reply', body: {} } : openaiError(500, { message: 'CUDA error' }),
              ),
            },
          ],
        },
        'gpt-oss-120b': {
          providers: [
            {
              id: 'h200-1',
              api_type: 'mock',
              max_in_flight: 1,
              mock: { reply: words.repeat(40), tokens_per_second: 4, first_token_ms: 100 },
            },
          ],
        },
        'gemma-3-27b': {
          providers: [
            {
              id: 'l40-1',
              api_type: 'vllm',
              api_host: await server(({ method }) =>
                method === 'GET' ? { kind: 'reply', body: {} } : openaiError(401, { message: 'no' }),
              ),
            },
            { id: 'l40-3', ...healthy },
            { id: 'l40-2', api_type: 'vllm', api_host: await server(loading) },
          ],
        },
      },
      embed: {
        'bge-m3': { providers: [{ id: 'l4-1', api_type: 'mock', is_embedding: true, input_size: 8_192 }] },
      },
    },
  })
  const { admin, newKey, chat } = requestsTo(router.url)
  const all = async (...made: [string, object][]): Promise<void> => {
    for (const [path, body] of made) await admin('POST', path, body)
  }
  await all(
    ['/groups', { id: 'research', description: 'Language models group', tokens_per_minute: 2_000_000 }],
    ['/groups', { id: 'students', models: ['llama*', 'qwen*'], requests_per_minute: 600 }],
    [
      '/clients',
      { id: 'alice', group: 'research', role: 'operator', surfaces: ['openai', 'ollama', 'operator'] },
    ],
    ['/clients', { id: 'course-nlp', group: 'students', max_concurrent: 40 }],
    ['/clients', { id: 'old-bot', enabled: false }],
    ['/prices', { id: 'llama', model: 'llama*', prompt: 0.6, completion: 2.4, currency: 'EUR' }],
    ['/budgets', { id: 'research-month', group: 'research', unit: 'tokens', limit: 60_000, window: 'month' }],
    [
      '/budgets',
      { id: 'students-week', group: 'students', unit: 'requests', limit: 400, window: 'week', hard: false },
    ],
  )
  const key = await newKey('alice')
  const courseKey = await newKey('course-nlp')
  const open = new AbortController()
  const saturate = (): void => {
    for (let count = 0; count < 3; count++)
      void fetch(`${router.url}/v1/chat/completions`, {
        method: 'POST',
        signal: open.signal,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        body: JSON.stringify({
          model: 'gpt-oss-120b',
          stream: true,
          messages,
        }),
      })
        .then(
          (response) => response.text(),
          () => undefined,
        )
        .catch(() => undefined)
  }
  saturate()
  return {
    router,
    key,
    admin,
    chat,
    async traffic() {
      // Before, its checks have not failed often enough, and it may get a request that it never answers.
      await router.logged(
        ({ msg, target, state }) => msg === 'health check' && target === 'dgx4' && state === 'silent',
      )
      const stream = { stream: true, stream_options: { include_usage: true } }
      await Promise.all([
        ...['llama-3.3-70b', 'llama-3.3-70b', 'qwen3-32b'].map((model) => chat(key, model, stream)),
        chat(courseKey, 'llama-3.3-70b', stream),
        chat(courseKey, 'gpt-9'),
        chat(key, 'gemma-3-27b'),
        chat(key, 'qwen3-32b', { temperature: 'hot' }),
      ])
    },
    async close() {
      open.abort()
      await router.close()
      await Promise.all(servers.map((each) => each.close().catch(() => undefined)))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
