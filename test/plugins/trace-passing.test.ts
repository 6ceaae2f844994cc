import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiError,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const url = '/v1/chat/completions'
const traceId = '0af7651916cd43dd8448eb211c80319c'
const clientSpan = 'b7ad6b7169203331'
const body = { model: 'one', messages }

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  const servers = ['first', 'second'].map((id) => ({
    id,
    api_type: 'vllm',
    api_host: `${upstream.url}/${id}`,
  }))
  router = await startRouter({ models: modelsConfig({ one: servers }) })
})
after(async () => {
  await router.close()
  await upstream.close()
})

/** What the upstream received, and the log lines, for a request with these headers. */
async function passed(id: string, headers: Record<string, string>) {
  const from = upstream.requests.length
  const all = { 'content-type': 'application/json', 'x-request-id': id, ...headers }
  assert.equal((await post(router.url + url, body, all)).status, 200)
  await router.requestLogged(id)
  return {
    received: upstream.requests.slice(from).map((request) => request.headers),
    lines: router.logs.filter(({ request_id }) => request_id === id),
  }
}

test('without tracing a trace context is passed on unchanged, and every log line of the request has its trace id', async () => {
  upstream.rescript([openaiError(500, { message: 'no' }), openaiText('Hi')])
  const { received, lines } = await passed('passed', {
    traceparent: `00-${traceId}-${clientSpan}-01`,
    tracestate: 'vendor=1',
  })
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['failover', 'request'],
  )
  for (const line of lines) assert.deepEqual([line.trace_id, line.span_id], [traceId, clientSpan])
  assert.equal(received.length, 2)
  for (const { traceparent, tracestate } of received) {
    assert.equal(traceparent, `00-${traceId}-${clientSpan}-01`)
    assert.equal(tracestate, 'vendor=1')
  }
})

test('without tracing a request without a trace context is sent without one', async () => {
  upstream.rescript(openaiText('Hi'))
  for (const headers of [{}, { tracestate: 'vendor=1' }, { traceparent: 'ff-1-2-3' }]) {
    const { received, lines } = await passed(`none-${Object.keys(headers).join('-')}`, headers)
    assert.deepEqual([received[0]?.traceparent, received[0]?.tracestate], [undefined, undefined])
    assert.deepEqual([lines.length, lines[0]?.trace_id, lines[0]?.span_id], [1, undefined, undefined])
  }
})
