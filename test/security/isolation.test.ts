import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { postBytes, RawClient } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  ollamaDone,
  ollamaLine,
  openaiChunk,
  openaiDone,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'
let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(echo)
  const at = { api_host: upstream.url }
  router = await startRouter({
    models: modelsConfig({
      same: ['a', 'b'].map((id) => ({ id, api_type: 'vllm', ...at })),
      other: ['c', 'd'].map((id) => ({ id, api_type: 'ollama', ...at })),
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

/** Repeats what the request said, in many pieces interleaved with other requests' pieces. */
function echo({ method, url, body }: RecordedRequest): Behaviour {
  // The router asks which contexts are in use.
  if (method === 'GET') return { kind: 'reply', status: 404, body: {} }
  assert.ok(typeof body === 'object' && body !== null && 'messages' in body && Array.isArray(body.messages))
  const said = String(body.messages[0]?.content)
  async function* pieces(write: (text: string) => string, end: string) {
    for (let index = 0; index < 10; index++) {
      yield write(said)
      await new Promise(setImmediate)
    }
    yield end
  }
  if (url === '/api/chat') {
    const headers = { 'content-type': 'application/x-ndjson' }
    return { kind: 'stream', headers, pieces: pieces((content) => ollamaLine({ content }), ollamaDone()) }
  }
  const end = openaiChunk({}, 'stop') + openaiDone
  return { kind: 'stream', pieces: pieces((content) => openaiChunk({ content }), end) }
}

test('S25 of hundreds of concurrent answers none contains a byte of another', async () => {
  const ask = async (index: number): Promise<void> => {
    const tag = `<tag-${index}>`
    const model = index % 2 === 0 ? 'same' : 'other'
    const isOllama = index % 3 === 0
    const body = { model, messages: [{ role: 'user', content: tag }], stream: true }
    const { status, text } = await post(router.url + (isOllama ? '/api/chat' : path), body)
    assert.equal(status, 200)
    assert.equal(text.split(tag).length - 1, 10, tag)
    assert.deepEqual(new Set(text.match(/<tag-\d+>/g)), new Set([tag]))
    assert.match(text, new RegExp(`"model":"${model}"`))
  }
  await Promise.all(Array.from({ length: 200 }, (_, index) => ask(index)))
})

test('S32 no response opens the router to web pages of other origins', async () => {
  const origin = 'https://evil.example'
  const preflight = await fetch(router.url + path, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    },
  })
  assert.ok(preflight.status >= 400)
  const body = { model: 'same', messages }
  const type = { 'content-type': 'application/json' }
  for (const { headers } of [
    preflight,
    await fetch(`${router.url}/v1/models`, { headers: { origin } }),
    await post(router.url + path, body, { ...type, origin }),
    await post(router.url + path, { ...body, stream: true }, { ...type, origin }),
  ]) {
    assert.deepEqual(
      [...headers.keys()].filter((name) => name.startsWith('access-control-')),
      [],
    )
  }
})

test('S33 no bytes of a client end the process or keep it from answering the next client', async () => {
  const random = seededRandom(20261123)
  const body = { model: 'same', messages, stream: true }
  const good = postBytes(path, body, ['expect: 100-continue', 'x-request-id: a', 'te: trailers'])
  const bytes = ['\r\n', '\0', '\x7f', '\xff', ':', ' ', '%', '"', '{', '}', '\\', 'chunked', '0', '-1', '\n']
  for (let round = 0; round < 200; round++) {
    let text = good
    for (let change = 0; change < 3; change++) {
      const at = Math.floor(random() * text.length)
      const cut = at + Math.floor(random() * 4)
      text = text.slice(0, at) + bytes[Math.floor(random() * bytes.length)] + text.slice(cut)
    }
    const client = await RawClient.open(router.url)
    client.send(text)
    client.socket.end()
    // Whatever the response is, the connection ends.
    await client.rest()
  }
  const { status } = await post(router.url + path, body)
  assert.equal(status, 200)
  assert.deepEqual(
    router.logs.filter(({ msg }) => msg === 'internal error'),
    [],
  )
})
