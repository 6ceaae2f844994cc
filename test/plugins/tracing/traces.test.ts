import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../../helpers/http.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter } from '../../helpers/router.ts'
import { openaiText, startUpstream, upstreamModel } from '../../helpers/scripted-upstream.ts'
import { startCollector, type TraceCollector } from '../../helpers/tracing/trace-collector.ts'
import {
  chatPath,
  clientSpan,
  clientTrace,
  tracedRouter,
  traceparent,
  treeOf,
  upstreamTrace,
} from '../../helpers/tracing/traced-router.ts'

const json = { 'content-type': 'application/json' }

let collector: TraceCollector

before(async () => {
  collector = await startCollector()
})
after(() => collector.close())

function body(): object {
  return { model: 'one', messages: [{ role: 'user', content: 'canary-prompt' }] }
}

test('an invalid trace context starts a new trace', async (t) => {
  const { router, upstreams } = await tracedRouter(t, collector, [openaiText('Hi')])
  const headers = { ...json, traceparent: `00-${clientTrace}-0000000000000000-01`, tracestate: 'a=1' }
  await post(router.url + chatPath, body(), { ...headers, 'x-request-id': 'bad' })
  const [request, call] = await treeOf(collector, 'bad', 2)
  assert.equal(request.parentId, '')
  assert.notEqual(request.traceId, clientTrace)
  assert.equal(upstreamTrace(upstreams[0]), `00-${request.traceId}-${call?.spanId}-01`)
  assert.equal(upstreams[0]?.requests[0]?.headers.tracestate, undefined)
})

test('a trace that its client does not sample is not sampled here either, but is passed on', async (t) => {
  const { router, upstreams } = await tracedRouter(t, collector, [openaiText('Hi')])
  const other = '11111111111111111111111111111111'
  const headers = { ...json, traceparent: `00-${other}-${clientSpan}-00` }
  await post(router.url + chatPath, body(), { ...headers, 'x-request-id': 'unsampled' })
  const line = await router.requestLogged('unsampled')
  assert.equal(upstreamTrace(upstreams[0]), `00-${other}-${line.span_id}-00`)
  assert.equal(line.trace_id, other)
  // A later span shows that this one would have arrived.
  await post(router.url + chatPath, body(), { ...json, 'x-request-id': 'after' })
  await treeOf(collector, 'after', 2)
  assert.deepEqual(
    collector.spans.filter((span) => span.traceId === other),
    [],
  )
})

test('the random flag is passed on with the trace id, whether or not the trace is sampled', async (t) => {
  const { router, upstreams } = await tracedRouter(t, collector, [openaiText('Hi')])
  for (const flags of ['02', '03']) {
    await post(router.url + chatPath, body(), {
      ...json,
      traceparent: `00-${clientTrace}-${clientSpan}-${flags}`,
    })
    assert.ok(upstreamTrace(upstreams[0]).endsWith(`-${flags}`), flags)
  }
})

test('the sampler in the environment decides on new traces', async (t) => {
  const { router, upstreams } = await tracedRouter(t, collector, [openaiText('Hi')], {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0',
  })
  await post(router.url + chatPath, body())
  assert.match(upstreamTrace(upstreams[0]), /-00$/)
  await post(router.url + chatPath, body(), { ...json, traceparent })
  assert.match(upstreamTrace(upstreams[0]), /-01$/)
})

test('probes have no trace, and an unknown path has no route', async (t) => {
  const { router } = await tracedRouter(t, collector, [openaiText('Hi')], { LLM_ROUTER_USE_PROMETHEUS: '1' })
  for (const probe of ['/livez', '/readyz', '/ping', '/metrics']) {
    await fetch(router.url + probe, { headers: { 'x-request-id': 'probe' } })
  }
  await fetch(`${router.url}/nowhere`, { headers: { 'x-request-id': 'nowhere' } })
  const [request] = await treeOf(collector, 'nowhere', 1)
  assert.deepEqual([request.name, request.status], ['GET', 'unset'])
  const probes = collector.spans.filter(({ attributes }) => attributes['llm_router.request_id'] === 'probe')
  assert.deepEqual(probes, [])
})

test('embeddings and texts of one request have their own names and spans', async (t) => {
  const vector = { object: 'embedding', index: 0, embedding: [0.5] }
  const { router, upstreams } = await tracedRouter(t, collector, [
    {
      kind: 'reply',
      body: {
        object: 'list',
        model: upstreamModel,
        data: [vector],
        usage: { prompt_tokens: 4, total_tokens: 4 },
      },
    },
  ])
  const asked = { model: 'one', input: 'x' }
  const answer = await post(`${router.url}/v1/embeddings`, asked, { ...json, 'x-request-id': 'vectors' })
  assert.equal(answer.status, 200, answer.text)
  const [, call] = await treeOf(collector, 'vectors', 2)
  assert.equal(call?.name, 'embeddings org/served')
  assert.equal(call?.attributes['gen_ai.usage.input_tokens'], 4)
  upstreams[0]?.rescript(openaiText('Hi'))
  const texts = { model: 'one', texts: ['a', 'b'] }
  await post(`${router.url}/api/simplify_text`, texts, { ...json, 'x-request-id': 'texts' })
  const [request, ...calls] = await treeOf(collector, 'texts', 3)
  assert.equal(request.name, 'POST /api/simplify_text')
  assert.deepEqual(
    calls.map(({ name }) => name),
    ['chat org/served', 'chat org/served'],
  )
})

test('a collector that does not respond delays neither requests nor shutdown for long', async (t) => {
  const dead = await startCollector({ hangs: true })
  t.after(() => dead.close())
  const upstream = await startUpstream(openaiText('Hi'))
  t.after(() => upstream.close())
  const router = await startRouter({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: dead.url, OTEL_BSP_SCHEDULE_DELAY: '1' },
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
  })
  for (let count = 0; count < 20; count++) {
    assert.equal((await post(router.url + chatPath, body())).status, 200)
  }
  const from = performance.now()
  await router.close()
  const ms = performance.now() - from
  // The exporter alone would wait for ten seconds.
  assert.ok(ms >= 1_900 && ms < 8_000, `${ms} ms`)
})

test('a collector that rejects spans is logged once, however often it does', async (t) => {
  const refusing = await startCollector({ status: 400 })
  t.after(() => refusing.close())
  const upstream = await startUpstream(openaiText('Hi'))
  t.after(() => upstream.close())
  const router = await startRouter({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: refusing.url, OTEL_BSP_SCHEDULE_DELAY: '1' },
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(() => router.close())
  for (const id of ['first', 'second', 'third']) {
    await post(router.url + chatPath, body(), { ...json, 'x-request-id': id })
    await refusing.spansWhere(1, ({ attributes }) => attributes['llm_router.request_id'] === id)
  }
  const line = await router.logged(({ msg }) => msg === 'spans could not be sent to the collector')
  assert.deepEqual([line.level, line.error_cause], [40, '400'])
  assert.ok(refusing.headers.length >= 3, 'three batches were sent')
  assert.equal(router.logs.filter(({ msg }) => msg === line.msg).length, 1)
})

test('a response of the collector that is not protobuf is logged with the reason, but not quoted', async (t) => {
  const strange = await startCollector({ answer: Buffer.from('<html>canary-collector</html>') })
  t.after(() => strange.close())
  const { router } = await tracedRouter(t, strange, [openaiText('Hi')])
  await post(router.url + chatPath, body())
  const { detail } = await router.logged(({ msg }) => msg === 'OpenTelemetry warning')
  assert.match(String(detail), /could not deserialize response/)
  assert.doesNotMatch(String(detail), /canary/)
})
