import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { openRequest, post } from '../helpers/http.ts'
import {
  openaiChunk,
  openaiDone,
  openaiError,
  openaiStream,
  openaiText,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'
import { startCollector, type TraceCollector } from '../helpers/tracing/trace-collector.ts'
import {
  chatPath,
  clientSpan,
  clientTrace,
  tracedRouter,
  traceparent,
  treeOf,
  upstreamTrace,
} from '../helpers/tracing/traced-router.ts'

const json = { 'content-type': 'application/json' }

let collector: TraceCollector

before(async () => {
  collector = await startCollector()
})
after(() => collector.close())

function body(stream = false): object {
  return { model: 'one', stream, messages: [{ role: 'user', content: 'canary-prompt' }] }
}

test('the trace of a client continues through the router to the upstream', async (t) => {
  const { router, upstreams } = await tracedRouter(t, collector, [openaiText('canary-answer')])
  const headers = { ...json, traceparent, tracestate: 'vendor=1, other@system=x', 'x-request-id': 'through' }
  const { status } = await post(router.url + chatPath, body(), headers)
  assert.equal(status, 200)
  const [request, call] = await treeOf(collector, 'through', 2)
  assert.ok(call)
  assert.deepEqual([request.traceId, call.traceId], [clientTrace, clientTrace])
  assert.deepEqual([request.parentId, call.parentId], [clientSpan, request.spanId])
  assert.equal(upstreamTrace(upstreams[0]), `00-${clientTrace}-${call.spanId}-01`)
  assert.equal(upstreams[0]?.requests[0]?.headers.tracestate, 'vendor=1,other@system=x')
})

test('the spans of a request have the attributes of the OpenTelemetry conventions', async (t) => {
  const { router, upstreams } = await tracedRouter(t, collector, [openaiText('canary-answer')])
  const secret = { authorization: 'Bearer canary-client' }
  await post(`${router.url}${chatPath}?key=canary-query`, body(), {
    ...json,
    ...secret,
    'x-request-id': 'words',
  })
  const [request, call] = await treeOf(collector, 'words', 2)
  assert.ok(call)
  assert.deepEqual([request.name, request.kind, request.status], [`POST ${chatPath}`, 'server', 'unset'])
  assert.deepEqual(request.attributes, {
    'http.request.method': 'POST',
    'http.route': chatPath,
    'http.response.status_code': 200,
    'url.scheme': 'http',
    'url.path': chatPath,
    'gen_ai.request.model': 'one',
    'llm_router.request_id': 'words',
    'llm_router.outcome': 'success',
    'llm_router.calls': 1,
    'llm_router.reason': 'only target',
  })
  assert.deepEqual([call.name, call.kind, call.status], ['chat org/served', 'client', 'unset'])
  assert.deepEqual(call.attributes, {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'vllm',
    'gen_ai.request.model': 'org/served',
    'gen_ai.response.model': upstreamModel,
    'gen_ai.response.id': 'chatcmpl-upstream',
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.usage.input_tokens': 9,
    'gen_ai.usage.output_tokens': 3,
    'server.address': '127.0.0.1',
    'server.port': Number(new URL(upstreams[0]?.url ?? '').port),
    'llm_router.model': 'one',
    'llm_router.target': 'box-0',
    'llm_router.call.number': 1,
    'llm_router.reason': 'only target',
    'llm_router.result': 'success',
  })
  assert.ok(request.start <= call.start && call.end >= call.start && request.end >= request.start)
  assert.doesNotMatch(collector.bytes.toString('latin1'), /canary/, 'neither prompts, responses nor keys')
})

test('a failed attempt has a span next to that of the successful one', async (t) => {
  const { router, upstreams } = await tracedRouter(t, collector, [
    openaiError(500, { message: 'canary-words' }),
    openaiText('Hi'),
  ])
  const { status } = await post(router.url + chatPath, body(), { ...json, 'x-request-id': 'failover' })
  assert.equal(status, 200)
  const [request, failed, good] = await treeOf(collector, 'failover', 3)
  assert.ok(failed && good)
  assert.deepEqual([failed.status, failed.attributes['error.type']], ['error', 'server_error'])
  assert.deepEqual(failed.attributes['http.response.status_code'], 500)
  assert.deepEqual([good.status, good.attributes['llm_router.call.number']], ['unset', 2])
  assert.deepEqual([request.status, request.attributes['llm_router.calls']], ['unset', 2])
  const failover = request.events.find(({ name }) => name === 'llm_router.failover')
  assert.deepEqual(failover?.attributes, { 'llm_router.target': 'box-1', 'error.type': 'server_error' })
  assert.deepEqual(upstreams.map(upstreamTrace), [
    `00-${request.traceId}-${failed.spanId}-01`,
    `00-${request.traceId}-${good.spanId}-01`,
  ])
  const lines = router.logs.filter(({ request_id }) => request_id === 'failover')
  assert.deepEqual(
    lines.map(({ msg, trace_id, span_id }) => ({ msg, trace_id, span_id })),
    ['failover', 'request'].map((msg) => ({ msg, trace_id: request.traceId, span_id: request.spanId })),
  )
})

test('a streamed response has an event for its first token', async (t) => {
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  const pieces = [
    openaiChunk({ role: 'assistant', content: '' }),
    openaiChunk({ content: 'Hi' }),
    held,
    openaiChunk({}, 'length'),
    openaiDone,
  ]
  const { router } = await tracedRouter(t, collector, [{ kind: 'stream', pieces }])
  const socket = await openRequest(router.url, chatPath, body(true), 'stream')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  while (!text.includes('Hi')) await once(socket, 'data')
  const seenAt = BigInt(Date.now()) * 1_000_000n
  letGo()
  const [, call] = await treeOf(collector, 'stream', 2)
  socket.destroy()
  assert.ok(call)
  const [first] = call.events
  assert.equal(first?.name, 'llm_router.first_token')
  assert.ok(first.at >= call.start && first.at <= seenAt + 5_000_000n && first.at < call.end)
  const seconds = Number(call.attributes['gen_ai.response.time_to_first_chunk'])
  assert.ok(seconds > 0 && seconds <= Number(first.at - call.start) / 1e9 + 0.005, `${seconds}`)
  assert.deepEqual(first.attributes, { 'llm_router.time_to_first_token': seconds })
  assert.equal(call.attributes['gen_ai.request.stream'], true)
  assert.equal(call.attributes['gen_ai.response.model'], upstreamModel)
  assert.deepEqual(call.attributes['gen_ai.response.finish_reasons'], ['length'])
})

test('token counts of a stream are attributes of its span', async (t) => {
  const { router } = await tracedRouter(t, collector, [openaiStream(['Hi'])])
  await post(router.url + chatPath, body(true), { ...json, 'x-request-id': 'counted' })
  const [, call] = await treeOf(collector, 'counted', 2)
  assert.equal(call?.attributes['gen_ai.usage.output_tokens'], 3)
})

test('a client that disconnects ends both spans, and neither is an error', async (t) => {
  const pieces = [openaiChunk({ content: 'Hi' })]
  const { router } = await tracedRouter(t, collector, [{ kind: 'stream', pieces, ending: 'hang' }])
  const socket = await openRequest(router.url, chatPath, body(true), 'left')
  await once(socket, 'data')
  socket.destroy()
  const [request, call] = await treeOf(collector, 'left', 2)
  assert.equal(request.attributes['llm_router.outcome'], 'client_gone')
  assert.equal(request.attributes['http.response.status_code'], 499)
  assert.equal(call?.attributes['llm_router.result'], 'cancelled')
  for (const span of [request, call]) {
    assert.equal(span?.status, 'unset')
    assert.equal(span?.attributes['error.type'], undefined)
  }
})

test('an interrupted stream is an error of both spans', async (t) => {
  const pieces = [openaiChunk({ content: 'Hi' })]
  const { router } = await tracedRouter(t, collector, [{ kind: 'stream', pieces, ending: 'cut' }])
  await post(router.url + chatPath, body(true), { ...json, 'x-request-id': 'broken' })
  const [request, call] = await treeOf(collector, 'broken', 2)
  for (const span of [request, call]) {
    assert.deepEqual([span?.status, span?.attributes['error.type']], ['error', 'truncated'])
  }
  assert.equal(call?.events[0]?.name, 'llm_router.first_token')
})

test('a request that waits in the queue records how long, and a rejected one records why', async (t) => {
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  const { router, upstreams } = await tracedRouter(
    t,
    collector,
    [{ kind: 'stream', pieces: [openaiChunk({ content: 'Hi' }), held, openaiChunk({}, 'stop'), openaiDone] }],
    { LLM_ROUTER_QUEUE_SIZE: '1' },
  )
  const requestOf = (id: string) => post(router.url + chatPath, body(true), { ...json, 'x-request-id': id })
  const running = requestOf('running')
  await upstreams[0]?.requestReceived(0)
  const waiting = requestOf('waiting')
  const refused = requestOf('refused')
  const statuses = await Promise.race([refused, waiting]).then(({ status }) => status)
  assert.equal(statuses, 503, 'one of the two found the queue full')
  letGo()
  await Promise.all([running, waiting, refused])
  const ended = await collector.spansWhere(3, ({ attributes }) =>
    /^(?:running|waiting|refused)$/.test(String(attributes['llm_router.request_id'])),
  )
  const events = ended.flatMap(({ events: own }) => own)
  const wait = events.find(({ name }) => name === 'llm_router.queue_wait')
  assert.equal(wait?.attributes['llm_router.model'], 'one')
  assert.ok(Number(wait?.attributes['llm_router.wait']) > 0)
  const refusal = events.find(({ name }) => name === 'llm_router.no_target')
  assert.deepEqual(refusal?.attributes, { 'llm_router.model': 'one', 'error.type': 'queue_full' })
  const failed = ended.filter(({ status }) => status === 'error')
  assert.deepEqual(
    failed.map(({ attributes }) => attributes['error.type']),
    ['queue_full'],
  )
})
