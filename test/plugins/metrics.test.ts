import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { closedPort, openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { type Series, scrape } from '../helpers/metrics.ts'
import { run } from '../helpers/programs/program.ts'
import { postBytes, sendRaw } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaText,
  openaiError,
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  const providerOf = (id: string, rest: object = {}) => ({
    id,
    api_type: 'vllm',
    api_host: upstream.url,
    ...rest,
  })
  const gone = await closedPort()
  router = await startRouter({
    env: { LLM_ROUTER_USE_PROMETHEUS: '1', LLM_ROUTER_QUEUE_TIMEOUT: '0.5' },
    models: {
      g: {
        plain: { providers: [providerOf('plain')] },
        native: { providers: [{ id: 'native', api_type: 'ollama', api_host: upstream.url }] },
        // Smooth weighted round-robin begins with the heavier one.
        spare: {
          strategy: 'weighted',
          providers: [
            providerOf('gone', { api_host: gone, weight: 1 }),
            providerOf('there', { weight: 0.5 }),
          ],
        },
        lost: { providers: [providerOf('lost', { api_host: gone })] },
        helped: { fallbacks: ['plain'], providers: [providerOf('helped', { api_host: gone })] },
        alone: { strategy: 'first_available', providers: [providerOf('alone')] },
      },
      active_models: { g: ['plain', 'native', 'spare', 'lost', 'helped', 'alone'] },
    },
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

/** The changes of the metrics by `act`, once its requests are logged. */
async function added(act: () => Promise<unknown>): Promise<(name: string, labels?: Labels) => number> {
  const from = await scrape(router.url)
  await act()
  const to: Series = await scrape(router.url)
  return (name, labels) => to.sum(name, labels) - from.sum(name, labels)
}

type Labels = Record<string, string>

async function ask(model: string, rest: object = {}): Promise<number> {
  const { status, headers } = await post(router.url + path, { model, messages, ...rest })
  await router.requestLogged(headers.get('x-request-id') ?? '')
  return status
}

test('a request and its attempt are counted once, with the tokens that the upstream reported', async () => {
  upstream.rescript(openaiText('Hi'))
  const count = await added(() => ask('plain'))
  const provider = { model_name: 'plain', provider_type: 'vllm' }
  assert.equal(count('http_requests_total', { method: 'POST', endpoint: path, http_status: '200' }), 1)
  assert.equal(count('http_request_duration_seconds_count', { endpoint: path }), 1)
  assert.ok(count('http_request_size_bytes_sum', { endpoint: path }) > 30)
  assert.ok(count('http_response_size_bytes_sum', { endpoint: path, http_status: '200' }) > 100)
  assert.equal(count('llm_router_requests_total', { model_name: 'plain', outcome: 'success' }), 1)
  assert.equal(count('llm_router_provider_calls_total', provider), 1)
  assert.equal(count('llm_router_provider_latency_seconds_count', provider), 1)
  assert.equal(count('llm_router_tokens_total', { ...provider, direction: 'input' }), 9)
  assert.equal(count('llm_router_tokens_total', { ...provider, direction: 'output' }), 3)
  assert.equal(count('llm_router_response_format_total', { ...provider, format: 'non_streamed' }), 1)
  assert.equal(
    count('llm_router_lb_strategy_selected_total', { strategy: 'balanced', model_name: 'plain' }),
    1,
  )
  assert.equal(count('llm_router_pipeline_stage_total', { stage: 'provider_resolved', result: 'success' }), 1)
  assert.equal(
    count('llm_router_target_calls_total', { model_name: 'plain', target: 'plain', result: 'success' }),
    1,
  )
  assert.equal(count('llm_router_payload_conversion_total'), 0)
  // It is not streamed: there is no first token.
  assert.equal(count('llm_router_time_to_first_token_seconds_count', provider), 0)
})

test('a stream has time to first token, time per token and exact tokens', async () => {
  upstream.rescript(openaiStream(['a', 'b', 'c']))
  const count = await added(() => ask('plain', { stream: true }))
  const provider = { model_name: 'plain', provider_type: 'vllm' }
  assert.equal(count('llm_router_response_format_total', { ...provider, format: 'streamed' }), 1)
  assert.equal(count('llm_router_time_to_first_token_seconds_count', provider), 1)
  assert.equal(count('llm_router_time_per_output_token_seconds_count', provider), 1)
  assert.equal(count('llm_router_tokens_total', { ...provider, direction: 'output' }), 3)
  assert.equal(count('llm_router_provider_latency_seconds_count', provider), 1)
})

test('the overhead of the router excludes the time of the upstream', async () => {
  let heldMs = 0
  upstream.rescript(async () => {
    const from = performance.now()
    // The time to serve other requests meanwhile.
    for (let asked = 0; asked < 20; asked++) assert.equal((await fetch(`${router.url}/ping`)).status, 200)
    heldMs = performance.now() - from
    return openaiText('late')
  })
  const count = await added(() => ask('plain'))
  assert.equal(count('llm_router_overhead_seconds_count', { endpoint: path }), 1)
  const own = count('llm_router_overhead_seconds_sum', { endpoint: path })
  const all = count('http_request_duration_seconds_sum', { endpoint: path })
  assert.ok(heldMs > 0 && own > 0)
  assert.ok(own <= all - heldMs / 1000, `${own} of ${all}, of which the upstream took ${heldMs} ms`)
})

test('a translated request counts its conversion and its dropped fields', async () => {
  upstream.rescript(ollamaText('Hi'))
  const count = await added(() => ask('native', { logit_bias: { 1: 2 }, n: 1, parallel_tool_calls: false }))
  assert.equal(count('llm_router_payload_conversion_total', { from_type: 'openai', to_type: 'ollama' }), 1)
  const lost = count('llm_router_lost_fields_total', { model_name: 'native', provider_type: 'ollama' })
  assert.ok(lost >= 1, `${lost}`)
})

test('a failover counts a failed attempt, a retry and a successful attempt', async () => {
  upstream.rescript(openaiText('Hi'))
  const count = await added(() => ask('spare'))
  const reason = { model_name: 'spare', error_code: 'connection_error' }
  assert.equal(count('llm_router_provider_calls_total', { model_name: 'spare' }), 2)
  assert.equal(count('llm_router_provider_error_total', reason), 1)
  assert.equal(count('llm_router_retry_total', reason), 1)
  assert.equal(count('llm_router_failovers_total', reason), 1)
  assert.equal(count('llm_router_retry_exhausted_total', { model_name: 'spare' }), 0)
  assert.equal(count('llm_router_target_calls_total', { target: 'gone', result: 'failure' }), 1)
  assert.equal(count('llm_router_target_calls_total', { target: 'there', result: 'success' }), 1)
  assert.equal(count('llm_router_requests_total', { model_name: 'spare', outcome: 'success' }), 1)
})

test('a request for a model without a working target fails, and the open breaker is in the metrics', async () => {
  const count = await added(async () => {
    assert.equal(await ask('lost'), 502)
    assert.equal(await ask('lost'), 502)
  })
  assert.equal(
    count('llm_router_retry_exhausted_total', { model_name: 'lost', last_error_code: 'connection_error' }),
    2,
  )
  assert.equal(count('http_request_exceptions_total', { method: 'POST', endpoint: path }), 2)
  assert.equal(count('llm_router_requests_total', { model_name: 'lost', outcome: 'error' }), 2)
  const series = await scrape(router.url)
  const lost = { model_name: 'lost', target: 'lost' }
  assert.equal(series.sum('llm_router_target_usable', lost), 0)
  assert.equal(series.sum('llm_router_target_breaker_state', { ...lost, state: 'open' }), 1)
  assert.equal(series.sum('llm_router_target_breaker_state', lost), 1)
  assert.equal(series.sum('llm_router_target_usable', { target: 'plain' }), 1)
})

test('a request that a fallback model answers is counted under that model', async () => {
  upstream.rescript(openaiText('Hi'))
  const count = await added(() => ask('helped'))
  assert.equal(count('llm_router_fallbacks_total', { model_name: 'helped', fallback: 'plain' }), 1)
  assert.equal(count('llm_router_retry_exhausted_total', { model_name: 'helped' }), 1)
  assert.equal(count('llm_router_requests_total', { model_name: 'helped', outcome: 'success' }), 1)
  assert.equal(count('llm_router_requests_total', { model_name: 'plain' }), 0)
  assert.equal(count('llm_router_provider_calls_total', { model_name: 'plain' }), 1)
  assert.equal(count('llm_router_tokens_total', { model_name: 'plain', direction: 'output' }), 3)
})

test('upstream error codes are mapped to a fixed set of reasons', async () => {
  const said = `custom ${Math.random()}`
  for (const [behaviour, reason] of [
    [openaiError(500, { message: said, code: said }), 'server_error'],
    [openaiError(429, { message: said, type: said }, { 'retry-after': '1' }), 'rate_limit'],
  ] as const) {
    upstream.rescript(behaviour)
    const count = await added(() => ask('plain'))
    assert.equal(count('llm_router_provider_error_total', { model_name: 'plain', error_code: reason }), 1)
  }
  const series = await scrape(router.url)
  assert.equal(series.sum('llm_router_target_resting', { target: 'plain', reason: 'busy' }), 1)
  assert.ok(!series.names.some((name) => name.includes(said)))
})

test('a waiting request is in the queue metric, and its wait is measured even if it gets no target', async (t) => {
  upstream.rescript({ kind: 'hang' })
  const from = upstream.requests.length
  const first = await openRequest(router.url, path, { model: 'alone', messages }, 'waits')
  t.after(() => first.destroy())
  await upstream.requestReceived(from)
  const during = await scrape(router.url)
  assert.equal(during.sum('llm_router_target_calls_in_flight', { target: 'alone' }), 1)
  assert.equal(during.sum('http_requests_in_progress'), 2)
  const count = await added(async () => {
    assert.equal(await ask('alone'), 503)
  })
  assert.equal(count('llm_router_queue_wait_seconds_count', { model_name: 'alone' }), 1)
  // Timers start with the event loop iteration, which can be long on a busy machine.
  assert.ok(count('llm_router_queue_wait_seconds_sum', { model_name: 'alone' }) >= 0.25)
  assert.equal(count('llm_router_queue_refusals_total', { model_name: 'alone', reason: 'queue_timeout' }), 1)
  assert.equal(count('llm_router_pipeline_stage_total', { result: 'failure' }), 1)
  const left = await added(async () => {
    first.destroy()
    await router.requestLogged('waits')
  })
  assert.equal(left('http_requests_total', { http_status: '499', endpoint: path }), 1)
  assert.equal(left('llm_router_requests_total', { model_name: 'alone', outcome: 'client_gone' }), 1)
  assert.equal(left('llm_router_target_calls_in_flight', { target: 'alone' }), -1)
  assert.equal((await scrape(router.url)).sum('llm_router_queue_length', { model_name: 'alone' }), 0)
})

test('a socket that the upstream had closed counts as a retry, but not as a failover', async () => {
  upstream.rescript([openaiText('Hi'), openaiText('again')])
  const from = upstream.requests.length
  await ask('native')
  upstream.rescript((_request, index) => (index === from + 1 ? { kind: 'reset' } : ollamaText('Hi')))
  const count = await added(() => ask('native'))
  assert.equal(count('llm_router_retry_total', { model_name: 'native', error_code: 'stale_socket' }), 1)
  assert.equal(count('llm_router_failovers_total', { model_name: 'native' }), 0)
  assert.equal(count('llm_router_requests_total', { model_name: 'native', outcome: 'success' }), 1)
})

test('names, paths and methods that clients invent add no series', async () => {
  upstream.rescript(openaiText('Hi'))
  const methods = ['PROPFIND', 'REPORT', 'PURGE', 'SEARCH', 'LINK', 'MKCOL', 'NOTIFY', 'PATCH', 'DELETE']
  const send = async (index: number): Promise<void> => {
    const name = `made-up-${index}-${Math.random()}`
    await Promise.all([
      post(router.url + path, { model: name, messages }),
      post(`${router.url}/v1/${name}`, { model: 'native', messages }),
      fetch(`${router.url}/v1/models/${name}?x=${name}`),
      sendRaw(router.url, `${methods[index % methods.length]} /${name} HTTP/1.1\r\nhost: x\r\n\r\n`),
      sendRaw(router.url, postBytes(`${path}?${name}`, { model: name, messages, user: name })),
    ])
  }
  for (const index of methods.keys()) await send(index)
  await scrape(router.url)
  const before = new Set((await scrape(router.url)).names)
  for (let index = 0; index < 100; index++) await send(index)
  const names = (await scrape(router.url)).names
  assert.deepEqual(
    // What the process does for the first time, such as garbage collection, is not caused by clients.
    names.filter((name) => !before.has(name) && !name.startsWith('nodejs_')),
    [],
  )
  assert.ok(names.some((name) => name.includes('method="other"')))
  assert.ok(!names.some((name) => name.includes('made-up')))
})

test('the metrics have the version, the configuration and the process', async () => {
  const series = await scrape(router.url)
  assert.equal(series.sum('llm_router_build_info'), 1)
  assert.equal(series.sum('llm_router_workers'), 1)
  assert.equal(series.sum('llm_router_config_info'), 1)
  const age = Date.now() / 1000 - series.sum('llm_router_config_loaded_timestamp_seconds')
  assert.ok(age >= 0 && age < 600, `${age}`)
  assert.equal(series.sum('llm_router_config_reloads_total', { result: 'failure' }), 0)
  assert.ok(series.sum('process_resident_memory_bytes') > 0)
  assert.ok(series.names.some((name) => name.startsWith('nodejs_eventloop_lag_p99_seconds')))
  // A router without Redis exports no Redis state rather than a wrong one.
  assert.ok(!series.names.includes('llm_router_redis_up'))
})

test('promtool accepts the names and types of the metrics', async () => {
  const text = await fetch(`${router.url}/metrics`).then((response) => response.text())
  const { stdout, stderr } = run('promtool', ['check', 'metrics'], {
    debianPackage: 'prometheus',
    input: text,
  })
  const findings = `${stdout}${stderr}`.split('\n').filter((line) => line !== '')
  assert.deepEqual(
    findings.filter((line) => !line.startsWith('nodejs_') && !line.startsWith('process_')),
    [],
  )
})

test('the histograms of durations cover ten minutes', async () => {
  const { names } = await scrape(router.url)
  for (const name of [
    'http_request_duration_seconds',
    'llm_router_provider_latency_seconds',
    'llm_router_time_to_first_token_seconds',
    'llm_router_queue_wait_seconds',
  ]) {
    assert.ok(
      names.some((series) => series.startsWith(`${name}_bucket{`) && series.includes('le="600"')),
      name,
    )
  }
})

test('a client that disconnects is counted once, and its attempt does not affect the target', async () => {
  upstream.rescript({ kind: 'hang' })
  const from = upstream.requests.length
  const count = await added(async () => {
    const socket = await openRequest(router.url, path, { model: 'native', messages }, 'leaves')
    await upstream.requestReceived(from)
    socket.destroy()
    await once(socket, 'close')
    await router.requestLogged('leaves')
  })
  assert.equal(count('http_request_duration_seconds_count', { endpoint: path }), 1)
  assert.equal(count('http_requests_in_progress'), 0)
  assert.equal(count('llm_router_target_calls_total', { target: 'native', result: 'cancelled' }), 1)
  assert.equal(count('llm_router_provider_error_total', { model_name: 'native' }), 0)
})
