import assert from 'node:assert/strict'
import { request } from 'node:http'
import { it } from 'node:test'
import { openaiChunk, openaiStream, openaiText, type Script, startUpstream } from './scripted-upstream.ts'

async function upstreamFor(t: { after(end: () => Promise<void>): void }, script: Script) {
  const upstream = await startUpstream(script)
  t.after(() => upstream.close())
  return upstream
}

function post(url: string, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(`${url}/v1/x?y=1`, { method: 'POST', body: '{"a":1}', signal })
}

it('the scripted upstream records its requests and plays its list in order', async (t) => {
  const upstream = await upstreamFor(t, [openaiText('Hi'), { kind: 'reply', status: 503, body: 'busy' }])
  const first = await post(upstream.url)
  assert.match(await first.text(), /"content":"Hi"/)
  const second = await post(upstream.url)
  assert.equal(second.status, 503)
  assert.equal(await second.text(), 'busy')
  await post(upstream.url).then((third) => assert.equal(third.status, 503))
  const [seen] = upstream.requests
  assert.equal(seen?.url, '/v1/x?y=1')
  assert.deepEqual(seen?.body, { a: 1 })
})

it('the scripted upstream streams in order and waits at each promise', async (t) => {
  const gate = Promise.withResolvers<void>()
  const upstream = await upstreamFor(t, { kind: 'stream', pieces: ['one', gate.promise, 'two'] })
  const response = await post(upstream.url)
  const reader = response.body?.getReader()
  const first = await reader?.read()
  assert.equal(Buffer.from(first?.value ?? []).toString(), 'one')
  assert.equal(upstream.requests[0]?.sentBytes, 3)
  gate.resolve()
  const second = await reader?.read()
  assert.equal(Buffer.from(second?.value ?? []).toString(), 'two')
  assert.equal((await reader?.read())?.done, true)
})

it('the scripted upstream stops writing while the client does not read', async (t) => {
  function* endless() {
    for (;;) yield 'x'.repeat(65_536)
  }
  const upstream = await upstreamFor(t, () => ({ kind: 'stream', pieces: endless() }))
  const client = request(upstream.url, { method: 'POST' })
  client.end('{}')
  await new Promise((resolve) => client.once('response', resolve))
  const { sentBytes } = await upstream.requestReceived(0)
  assert.ok(sentBytes < 1e9)
  client.destroy()
  await upstream.requestClosed(0)
  assert.equal(upstream.openRequests, 0)
})

it('the scripted upstream reports when a client disconnects from a request that is never answered', async (t) => {
  const upstream = await upstreamFor(t, { kind: 'hang' })
  const leave = new AbortController()
  const asked = post(upstream.url, leave.signal)
  await upstream.requestReceived(0)
  assert.equal(upstream.openRequests, 1)
  leave.abort()
  await assert.rejects(asked)
  await upstream.requestClosed(0)
  assert.equal(upstream.openRequests, 0)
})

it('the scripted upstream ends a response in each of its ways', async (t) => {
  const pieces = [openaiChunk({ content: 'Hi' })]
  const upstream = await upstreamFor(t, [
    { kind: 'reset' },
    { kind: 'raw', bytes: 'no HTTP at all\r\n\r\n' },
    { kind: 'stream', pieces, ending: 'cut' },
    { kind: 'stream', pieces, ending: 'reset' },
  ])
  await assert.rejects(post(upstream.url))
  await assert.rejects(post(upstream.url))
  await assert.rejects(post(upstream.url).then((response) => response.text()))
  await assert.rejects(post(upstream.url).then((response) => response.text()))
})

it('the scripted upstream closes while a stream hangs, and reports a script that failed', async () => {
  const upstream = await startUpstream({ kind: 'stream', pieces: ['x'], ending: 'hang' })
  const response = await post(upstream.url)
  await Promise.all([assert.rejects(response.text()), upstream.close()])

  const broken = await startUpstream(() => {
    throw new Error('no such behaviour')
  })
  await assert.rejects(post(broken.url))
  await assert.rejects(broken.close(), /no such behaviour/)
})

it('the scripted upstream accepts a new script while it runs', async (t) => {
  const upstream = await upstreamFor(t, openaiText('old'))
  await post(upstream.url).then((response) => response.text())
  upstream.rescript([openaiStream(['ne', 'w']), openaiText('last')])
  assert.match(await post(upstream.url).then((response) => response.text()), /data: \[DONE\]\n\n$/)
  assert.match(await post(upstream.url).then((response) => response.text()), /last/)
})
