import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { collectGarbage } from '../helpers/garbage.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { postBytes, RawClient, sendRaw } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'
const mebibyte = 1024 * 1024
const limitBytes = 4 * mebibyte

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  router = await startRouter({
    env: { LLM_ROUTER_BODY_LIMIT: String(limitBytes) },
    models: modelsConfig({
      one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url, model_path: 'm' }],
      other: [{ id: 'other', api_type: 'vllm', api_host: upstream.url, model_path: 'secret' }],
      large: [{ id: 'large', api_type: 'vllm', api_host: upstream.url }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

/** A chat body with these members after the required ones. */
const withMembers = (text: string) => `{"model":"one","messages":[{"role":"user","content":"x"}],${text}}`
const nested = (levels: number) => withMembers(`"x":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}`)
const good = withMembers('"x":1')

/** Rejected with 400, and nothing is sent upstream. */
const refused: [name: string, body: string | Uint8Array][] = [
  ['nothing', ''],
  ['half an object', '{'],
  ['a number', '1'],
  ['a string', '"x"'],
  ['a list', '[{}]'],
  ['null', 'null'],
  ['two objects', `${good}${good}`],
  ['129 levels', nested(129)],
  ['10,000 levels', nested(10_000)],
  ['1,000,000 levels', nested(1_000_000)],
  ['1,000,000 levels that never end', withMembers(`"x":${'['.repeat(1_000_000)}`)],
  ['10,001 members', withMembers(Array.from({ length: 9_999 }, (_, at) => `"x${at}":1`).join())],
  ['__proto__', withMembers('"__proto__":{"x":1}')],
  ['__proto__ with escapes', withMembers('"\\u005f_proto_\\u005f":{"x":1}')],
  ['a nested __proto__', withMembers('"a":[{"b":{"__proto__":{"x":1}}}]')],
  ['constructor.prototype', withMembers('"constructor":{"prototype":{"x":1}}')],
  ['UTF-16', Buffer.from(good, 'utf16le')],
  ['UTF-16 with a byte order mark', Buffer.from(`\ufeff${good}`, 'utf16le')],
  [
    'a byte that is not valid UTF-8',
    Buffer.concat([Buffer.from(withMembers('"x":"').slice(0, -1)), Buffer.from([0xff]), Buffer.from('"}')]),
  ],
  [
    'an overlong slash',
    Buffer.concat([
      Buffer.from(withMembers('"x":"').slice(0, -1)),
      Buffer.from([0xc0, 0xaf]),
      Buffer.from('"}'),
    ]),
  ],
  ['model twice', withMembers('"model":"other"')],
  ['model in another letter case', withMembers('"Model":"secret"')],
  ['MODEL with escapes', withMembers('"\\u004dODEL":"secret"')],
  ['stream twice', withMembers('"stream":true,"stream":false')],
  ['stream with a long s, which Go reads as an s', withMembers('"\u017ftream":true')],
  ['Stream alone', withMembers('"Stream":true')],
  ['model_name in another letter case', withMembers('"model_name":"one","Model_Name":"other"')],
  ['a model that is a number', good.replace('"one"', '1')],
  ['a model that is an object', good.replace('"one"', '{"$ne":""}')],
]

for (const [name, body] of refused) {
  test(`S13 a body with ${name} is rejected`, async () => {
    const from = upstream.requests.length
    const { status, text } = await post(router.url + path, body)
    assert.equal(status, 400, text.slice(0, 200))
    assert.ok(JSON.parse(text).error.message)
    assert.ok(text.length < 1000)
    assert.equal(upstream.requests.length, from)
  })
}

test('S13 a body that only resembles an ambiguous one passes byte for byte', async () => {
  const bodies = [
    nested(128),
    withMembers('"user":"__proto__ constructor.prototype \\u005f_proto__"'),
    withMembers(
      '"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"constructor":{}}}}}]',
    ),
    withMembers('"metadata":{"model":"other","Model":"x","stream":1}'),
    withMembers(
      '"a":12345678901234567890,"b":1e400,"c":-0,"d":1e-400,"e":0.1000000000000000055511151231257827',
    ),
    withMembers('"lone":"\\ud800","nul":"\\u0000","models":["x"],"x":1,"x":2'),
  ]
  for (const body of bodies) {
    const index = upstream.requests.length
    const { status, text } = await post(router.url + path, body)
    assert.equal(status, 200, text)
    assert.equal(upstream.requests[index]?.raw.toString(), body.replace('"one"', '"m"'))
  }
  const marked = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good)])
  assert.equal((await post(router.url + path, marked)).status, 200)
  assert.deepEqual(Object.keys(Object.prototype), [])
})

test('S13 the upstream is asked for the model that the client may use, however its name is written', async () => {
  const bodies = [good, good.replace('"model"', '"\\u006dodel"'), withMembers('"model_name":"other"')]
  for (const body of bodies) {
    const index = upstream.requests.length
    assert.equal((await post(router.url + path, body)).status, 200)
    const { body: sent } = upstream.requests[index] ?? assert.fail()
    assert.ok(typeof sent === 'object' && sent !== null && 'model' in sent && !('model_name' in sent))
    assert.equal(sent.model, 'm')
  }
})

test('S13 only JSON in plain UTF-8 is accepted as JSON', async () => {
  const types = [
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
    'application/json-seq',
    'application/json garbage',
    'application/\tjson',
    'application/json; charset=utf-16',
    'application/jsonp',
    'application/json; charset="utf-16le"',
    'json',
    '',
  ]
  for (const type of types) {
    const bytes = postBytes(path, good).replace('content-type: application/json', `content-type: ${type}`)
    assert.equal((await sendRaw(router.url, bytes)).status, 415, type)
  }
  for (const coding of ['gzip', 'br', 'deflate', 'zstd', 'identity, gzip', 'x']) {
    const bytes = postBytes(path, good, [`content-encoding: ${coding}`])
    assert.equal((await sendRaw(router.url, bytes)).status, 415, coding)
  }
})

test('S14 a body over the limit is rejected when it is announced', async () => {
  for (const length of [limitBytes + 1, 1e12]) {
    const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
    const answer = await sendRaw(router.url, head)
    assert.deepEqual([answer.status, answer.closed], [413, true])
  }
})

test('S14 a chunked body over the limit is rejected while it arrives', async () => {
  const client = await RawClient.open(router.url)
  client.send(
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
  )
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
  let isOver = false
  const answer = client.answer().finally(() => {
    isOver = true
  })
  let sent = 0
  while (!isOver) {
    client.send(chunk)
    sent += 0x10000
    await new Promise(setImmediate)
  }
  assert.equal((await answer).status, 413)
  client.close()
  assert.ok(sent < 4 * limitBytes, `${sent} bytes`)
})

test('S14 a whole answer without an end is abandoned or passed on, but not kept in memory', async () => {
  const piece = Buffer.alloc(mebibyte, ' ')
  upstream.rescript({
    kind: 'stream',
    headers: { 'content-type': 'application/json' },
    pieces: (function* () {
      yield '{"choices":['
      for (;;) yield piece
    })(),
  })
  const index = upstream.requests.length
  const response = await fetch(router.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: good.replace('"one"', '"large"'),
  })
  const before = arrayBufferBytes()
  let received = 0
  let held = Number.POSITIVE_INFINITY
  for await (const chunk of response.body ?? []) {
    const isSampled = received >> 22 !== (received + chunk.length) >> 22
    received += chunk.length
    // The least of several samples: what is no longer used is freed a moment later.
    if (isSampled && received > 80 * mebibyte) held = Math.min(held, arrayBufferBytes() - before)
    if (received > 112 * mebibyte) break
  }
  await upstream.requestClosed(index)
  assert.ok(held < 48 * mebibyte, `${held} bytes`)
  upstream.rescript(openaiText('Hi'))
})

/** What is still in use, without what could be freed. */
function arrayBufferBytes(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

/** Milliseconds of one rejected request with this header line. */
async function refusalMs(line: string): Promise<number> {
  const from = performance.now()
  const { status } = await sendRaw(router.url, postBytes('/v1/chat/completions', '{', [line]))
  assert.ok(status >= 400)
  return performance.now() - from
}

test('S22 headers crafted to be slow to parse are parsed quickly', async () => {
  const lines = [
    `content-type: application/json${';'.repeat(15_000)}`,
    `content-type: application/json;${' '.repeat(15_000)}charset`,
    `content-type: application/${'a+'.repeat(7_000)}json`,
    `content-type: application/json;charset=${'"'.repeat(15_000)}`,
    `authorization: Bearer ${'a '.repeat(7_000)}`,
    `x-request-id: ${'a-'.repeat(7_000)}`,
    `traceparent: ${'0-'.repeat(7_000)}`,
    `forwarded: ${'for=a;'.repeat(2_500)}`,
    `accept: ${'a/b;q=1,'.repeat(1_800)}`,
  ]
  for (const line of lines) {
    await refusalMs(line)
    // The best of three: the machine may be busy with other work.
    const times = [await refusalMs(line), await refusalMs(line), await refusalMs(line)]
    assert.ok(Math.min(...times) < 50, `${line.slice(0, 40)}: ${times}`)
  }
})

test('S23 a large body takes time proportional to its size, whatever it contains', async () => {
  const fill: [string, (bytes: number) => string][] = [
    [
      'keys like integers',
      (bytes) => withMembers(`"a":{${Array.from({ length: bytes / 10 }, (_, at) => `"${at}":1`).join()}}`),
    ],
    ['one key many times', (bytes) => withMembers(`"a":{${'"a":1,'.repeat(bytes / 6).slice(0, -1)}}`)],
    ['backslashes', (bytes) => withMembers(`"a":"${'\\\\'.repeat(bytes / 2)}"`)],
    ['quotes', (bytes) => withMembers(`"a":"${'\\"'.repeat(bytes / 2)}"`)],
    ['short lists', (bytes) => withMembers(`"a":[${'[],'.repeat(bytes / 3)}0]`)],
    ['escapes in keys', (bytes) => withMembers(`"a":{${'"\\u0061":1,'.repeat(bytes / 11).slice(0, -1)}}`)],
    ['blanks', (bytes) => withMembers(`${' '.repeat(bytes)}"a":1`)],
  ]
  // An unknown model ends the request once its body has been read.
  const cost = async (body: string): Promise<number> => {
    const payload = body.replace('"one"', '"none"')
    const from = process.cpuUsage()
    const { statusCode } = await router.app.inject({
      method: 'POST',
      url: path,
      headers: { 'content-type': 'application/json' },
      payload,
    })
    const { user, system } = process.cpuUsage(from)
    assert.equal(statusCode, 404)
    return (user + system) / 1000
  }
  for (const [name, of] of fill) {
    const [small, large] = [of(limitBytes / 16), of(limitBytes / 2)]
    await cost(small)
    const few = Math.min(await cost(small), await cost(small))
    // Eight times the size; a parser that backtracks takes 64 times as long.
    const most = 32 * Math.max(few, 5)
    let many = await cost(large)
    // The machine may have been busy.
    if (many >= most) many = await cost(large)
    assert.ok(many < most, `${name}: ${few} ms, ${many} ms`)
  }
})
