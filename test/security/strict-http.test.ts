import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { postBytes, RawClient, sendRaw } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'
const body = JSON.stringify({ model: 'one', messages })
const size = body.length

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('Hi'))
  router = await startRouter({
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

/** A chat request with these header lines instead of the usual ones; a body is added. */
function request(lines: readonly string[], { start = `POST ${path} HTTP/1.1`, text = body } = {}): string {
  return `${[start, 'content-type: application/json', ...lines].join('\r\n')}\r\n\r\n${text}`
}

const sized = ['host: x', `content-length: ${size}`]
const chunked = `${size.toString(16)}\r\n${body}\r\n0\r\n\r\n`

function coded(...codings: string[]): string {
  return request(['host: x', ...codings.map((coding) => `transfer-encoding: ${coding}`)], { text: chunked })
}

function chunks(text: string): string {
  return request(['host: x', 'transfer-encoding: chunked'], { text })
}

/** The response to each; all of them close the connection, and none reaches an upstream. */
const refused: [name: string, status: number, bytes: string | Uint8Array][] = [
  // C8: two readers, two lengths
  ['Content-Length and Transfer-Encoding', 400, request([...sized, 'transfer-encoding: chunked'])],
  ['Transfer-Encoding and Content-Length', 400, request(['transfer-encoding: chunked', ...sized])],
  ['two equal Content-Lengths', 400, request([...sized, `content-length: ${size}`])],
  ['two different Content-Lengths', 400, request([...sized, 'content-length: 0'])],
  ['a list of Content-Lengths', 400, request(['host: x', `content-length: ${size}, ${size}`])],
  ['a signed Content-Length', 400, request(['host: x', `content-length: +${size}`])],
  ['a negative Content-Length', 400, request(['host: x', 'content-length: -1'])],
  ['a hexadecimal Content-Length', 400, request(['host: x', `content-length: 0x${size.toString(16)}`])],
  ['a Content-Length beyond 64 bits', 400, request(['host: x', 'content-length: 99999999999999999999'])],
  ['a folded header', 400, request(['host: x', 'a: b', ' c', `content-length: ${size}`])],
  ['a space before the colon', 400, request(['host: x', 'transfer-encoding : chunked'], { text: chunked })],
  ['a header without a colon', 400, request(['host: x', 'nothing', `content-length: ${size}`])],
  ['a bare CR in a header', 400, request(['host: x', 'a: b\rtransfer-encoding: chunked', sized[1] ?? ''])],
  ['a NUL in a header', 400, request(['host: x', 'a: b\0c', `content-length: ${size}`])],
  ['a space before the first header', 400, `GET /v1/models HTTP/1.1\r\n host: x\r\n\r\n`],
  ['an invalid chunk size', 400, chunks('zz\r\n{}\r\n0\r\n\r\n')],
  ['a signed chunk size', 400, chunks(`+${chunked}`)],
  ['a chunk size beyond 64 bits', 400, chunks('fffffffffffffffff\r\n{}\r\n0\r\n\r\n')],
  ['a chunk longer than its size', 400, chunks(`2\r\n${body}\r\n0\r\n\r\n`)],
  ['a chunk size ended by a bare LF', 400, chunks(`${size.toString(16)}\n${body}\r\n0\r\n\r\n`)],
  ['a chunk ended by a bare LF', 400, chunks(`${size.toString(16)}\r\n${body}\n0\r\n\r\n`)],
  ['17 KiB of chunk extensions', 413, chunks(`2;${'a'.repeat(17 * 1024)}\r\n{}\r\n0\r\n\r\n`)],
  // C9: codings and versions
  ['Transfer-Encoding: gzip, chunked', 400, coded('gzip, chunked')],
  ['Transfer-Encoding: chunked, gzip', 400, coded('chunked, gzip')],
  ['Transfer-Encoding: gzip', 400, coded('gzip')],
  ['Transfer-Encoding: identity', 400, coded('identity')],
  ['Transfer-Encoding: xchunked', 400, coded('xchunked')],
  ['Transfer-Encoding in quotes', 400, coded('"chunked"')],
  ['Transfer-Encoding with a parameter', 400, coded('chunked;q=1')],
  ['Transfer-Encoding: chunked, chunked', 400, coded('chunked, chunked')],
  ['two Transfer-Encodings', 400, coded('chunked', 'chunked')],
  ['a coding after a vertical tab', 400, coded('\x0bchunked')],
  ['Transfer-Encoding in HTTP/1.0', 400, coded('chunked').replace('HTTP/1.1', 'HTTP/1.0')],
  ['HTTP/0.9', 505, 'GET /v1/models\r\n\r\n'],
  ['HTTP/1.2', 505, request(sized, { start: `POST ${path} HTTP/1.2` })],
  ['HTTP/2.0', 505, request(sized, { start: `POST ${path} HTTP/2.0` })],
  ['HTTP/11', 505, request(sized, { start: `POST ${path} HTTP/11` })],
  ['another protocol than HTTP', 400, request(sized, { start: `POST ${path} ICE/1.1` })],
  ['the HTTP/2 preface', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a TLS hello', 400, new Uint8Array([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])],
  // C10: hosts
  ['no Host', 400, request([`content-length: ${size}`])],
  ['two Hosts', 400, request([...sized, 'host: x'])],
  ['two Hosts in different letter cases', 400, request([...sized, 'HOST: y'])],
  ...[
    '',
    'a/b?c',
    'a b',
    'a#b',
    'user@a',
    'a\\b',
    'a,b c',
    '[::1',
    'a:b',
    'a:123456',
    'é',
    'a'.repeat(300),
  ].map((host): [string, number, string] => [
    `Host: ${host.slice(0, 20)}`,
    400,
    request([`host: ${host}`, `content-length: ${size}`]),
  ]),
  // C11: targets, methods, expectations
  ...['http://evil.example/v1/chat/completions', 'evil.example:80', '*', '?', 'v1/chat/completions'].map(
    (target): [string, number, string] => [
      `target ${target}`,
      400,
      request(sized, { start: `POST ${target} HTTP/1.1` }),
    ],
  ),
  ['a fragment in the target', 400, request(sized, { start: `POST ${path}#x HTTP/1.1` })],
  ['a raw byte in the target', 400, request(sized, { start: `POST ${path}\xff HTTP/1.1` })],
  ['a path that cannot be decoded', 400, request(sized, { start: 'POST /v1/%zz HTTP/1.1' })],
  ['two spaces before the version', 400, request(sized, { start: `POST ${path}  x HTTP/1.1` })],
  ['TRACE', 405, `TRACE ${path} HTTP/1.1\r\nhost: x\r\n\r\n`],
  ['CONNECT', 405, 'CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n'],
  ['an unknown method', 400, request(sized, { start: `CANARY ${path} HTTP/1.1` })],
  ['an unknown Expect', 417, request([...sized, 'expect: 200-ok'])],
  ['two Expects', 417, request([...sized, 'expect: 100-continue, 200-ok'])],
  // C13: excessive sizes
  ['17 KiB of headers', 431, request([...sized, `a: ${'b'.repeat(17 * 1024)}`])],
  ['3,000 headers', 431, request([...sized, ...Array<string>(3000).fill('a:b')])],
  ['17 KiB of target', 431, `GET /${'a'.repeat(17 * 1024)} HTTP/1.1\r\nhost: x\r\n\r\n`],
]

describe('S11 a request that can be read in two ways is rejected, closes the connection, and is not sent upstream', () => {
  for (const [name, status, bytes] of refused) {
    test(`S11 ${name} is rejected`, async () => {
      const from = upstream.requests.length
      const answer = await sendRaw(router.url, bytes)
      assert.equal(answer.status, status, answer.body)
      assert.ok(answer.closed, 'the connection is closed')
      assert.match(answer.headers['content-type'] ?? '', /^application\/json/)
      assert.ok(JSON.parse(answer.body).error)
      assert.equal(upstream.requests.length, from)
    })
  }
})

test('S11 the valid forms of which the rejected ones are variants are answered', async () => {
  const good = [
    request(sized),
    coded('chunked'),
    coded('Chunked'),
    postBytes(`${path}?a=b%20c`, body),
    request(sized, { start: `POST ${path} HTTP/1.0` }),
    request([...sized, 'upgrade: h2c', 'connection: upgrade, http2-settings', 'http2-settings: AA']),
    request([...sized, 'upgrade: websocket', 'connection: upgrade', 'sec-websocket-key: AA']),
    request([...sized, '__proto__: x', 'constructor: y', 'hasOwnProperty: z']),
    request([...sized, ...Array<string>(200).fill('a:b')]),
  ]
  for (const bytes of good) assert.equal((await sendRaw(router.url, bytes)).status, 200, bytes.slice(0, 300))
  assert.equal('x' in Object.prototype, false)
})

test('S11 what follows a valid request on its connection is checked like the first', async () => {
  const from = upstream.requests.length
  const client = await RawClient.open(router.url)
  client.send(request(sized))
  assert.equal((await client.answer()).status, 200)
  client.send(`GPOST ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
  assert.equal((await client.answer()).status, 400)
  assert.equal(await client.rest(), '')
  assert.equal(upstream.requests.length, from + 1)
})

test('S11 a request hidden behind a rejected one is never read', async () => {
  const from = upstream.requests.length
  for (const first of [coded('gzip, chunked'), request([...sized, 'host: y']), coded('identity')]) {
    const client = await RawClient.open(router.url)
    client.send(first + request(sized))
    assert.equal((await client.answer()).status, 400)
    assert.equal(await client.rest(), '')
  }
  assert.equal(upstream.requests.length, from)
})
