import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { ask, type ClientDialect, startRig } from '../helpers/dialect-clients.ts'
import { openaiText } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

/** The response to a request that the upstream rejects with this body. */
async function refused(
  body: string | Buffer,
  headers: Record<string, string> = {},
  { dialect = 'openai', status = 400 }: { dialect?: ClientDialect; status?: number } = {},
) {
  const bytes = Buffer.from(body)
  const head = { 'content-type': 'application/json', 'content-length': String(bytes.length), ...headers }
  rig.upstream.rescript({ kind: 'stream', status, headers: head, pieces: [bytes] })
  const answer = await ask(rig, dialect, 'vllm')
  assert.ok(!/\ufffd|\\u000/.test(answer.text), answer.text)
  return { ...answer, message: answer.json.error.message ?? answer.json.error }
}

const error = {
  message: 'tools are not supported',
  type: 'invalid_request_error',
  param: 'tools[0].type',
  code: 'x',
}
const json = JSON.stringify({ error })

test('a compressed error body is read in every content coding, even if it is truncated', async () => {
  const codings: [string, Buffer][] = [
    ['gzip', gzipSync(json)],
    ['x-gzip', gzipSync(json)],
    ['GZIP', gzipSync(json)],
    ['deflate', deflateSync(json)],
    ['deflate', deflateRawSync(json)],
    ['br', brotliCompressSync(json)],
    ['zstd', zstdCompressSync(json)],
    ['br, gzip', gzipSync(brotliCompressSync(json))],
    ['gzip', gzipSync(json).subarray(0, -8)],
  ]
  for (const [coding, bytes] of codings) {
    const { status, message } = await refused(bytes, { 'content-encoding': coding })
    assert.deepEqual([status, message], [400, error.message], coding)
  }
  const anthropic = await refused(gzipSync(json), { 'content-encoding': 'gzip' }, { dialect: 'anthropic' })
  assert.deepEqual([anthropic.status, anthropic.message], [400, error.message])
})

test('an error body that is unreadable or HTML is replaced by the router’s own message', async () => {
  const own = 'The upstream refused the request with status 400'
  const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024, 'a'))
  for (const [body, headers] of [
    [gzipSync(json), {}],
    [Buffer.from('no gzip'), { 'content-encoding': 'gzip' }],
    [bomb, { 'content-encoding': 'gzip' }],
    [gzipSync(json), { 'content-encoding': 'gzip, gzip, gzip' }],
    [Buffer.from(json), { 'content-encoding': 'unknown' }],
    [Buffer.from([0, 1, 2, 3, 255, 254]), {}],
    ['<html><body>502 of a proxy</body></html>', { 'content-type': 'text/html' }],
    ['\ufeff<!DOCTYPE html><p>no</p>', {}],
    [JSON.stringify({ error: { message: '<html><h1>Bad</h1></html>' } }), {}],
  ] as const) {
    assert.equal((await refused(body, headers)).message, own)
  }
})

test('an error nested in the error of a gateway is read, and a byte order mark is skipped', async () => {
  for (const body of [
    `\ufeff${json}`,
    JSON.stringify({ error: { error } }),
    JSON.stringify({ error: { message: json, type: 'bad_gateway_request' } }),
    JSON.stringify({ error: { error: { error } } }),
  ]) {
    const { status, json: reported } = await refused(body)
    assert.deepEqual(
      [status, reported.error.message, reported.error.param],
      [400, error.message, error.param],
      body,
    )
  }
  const own = 'The upstream refused the request with status 400'
  const endless = `${'{"error":'.repeat(2_000)}{}${'}'.repeat(2_000)}`
  assert.equal((await refused(endless)).message, own)
  assert.equal((await refused(`${'['.repeat(8_000)}${']'.repeat(8_000)}`)).message, own)
})

test('a list of errors is read by its first entry: with an error status, as a response and in a stream', async () => {
  const list = [{ error: { code: 400, message: 'Invalid value at tools', status: 'INVALID_ARGUMENT' } }]
  assert.equal((await refused(JSON.stringify(list))).message, 'Invalid value at tools')
  assert.equal((await refused(JSON.stringify({ errors: [{ message: 'No.' }] }))).message, 'No.')
  rig.upstream.rescript({ kind: 'reply', body: list })
  for (const dialect of ['openai', 'anthropic'] as const) {
    const { json: reported, status } = await ask(rig, dialect, 'vllm')
    assert.deepEqual([status, reported.error.message], [400, 'Invalid value at tools'])
  }
  rig.upstream.rescript({ kind: 'stream', pieces: [`data: ${JSON.stringify(list)}\n\n`] })
  assert.equal((await ask(rig, 'openai', 'vllm', { stream: true })).status, 400)
})

test('the param of an upstream error is kept', async () => {
  assert.equal((await refused(json)).json.error.param, 'tools[0].type')
  const detail = [{ loc: ['body', 'messages', 0, 'content'], msg: 'Field required', type: 'missing' }]
  const { json: reported } = await refused(JSON.stringify({ detail }), {}, { status: 422 })
  assert.deepEqual([reported.error.message, reported.error.param], ['Field required', 'messages[0].content'])
  const odd = JSON.stringify({ error: { ...error, param: 'http://10.0.0.1/x' } })
  assert.equal((await refused(odd)).json.error.param, null)
})

test('the code of an upstream error says what to change in the request; others are not passed on', async () => {
  const codes: [unknown, string | null][] = [
    ['unsupported_parameter', 'unsupported_parameter'],
    ['content_filter', 'content_filter'],
    ['no_healthy_provider', null],
    [400, null],
  ]
  for (const [code, expected] of codes) {
    const { json: reported } = await refused(JSON.stringify({ error: { message: 'No', code } }))
    assert.equal(reported.error.code, expected)
  }
})

test('an error about the request that arrives with status 200 is an error of the client, whole and streamed', async () => {
  const invalid = { message: 'Invalid grammar', type: 'BadRequestError', param: null, code: 400 }
  const anthropicError = {
    type: 'error',
    error: { type: 'invalid_request_error', message: 'Invalid grammar' },
  }
  const unknown = { message: 'The model `up` does not exist', code: 'model_not_found' }
  const forms: [string, object, number][] = [
    ['vllm', { error: invalid }, 400],
    ['anthropic', anthropicError, 400],
    ['vllm', { error: { ...invalid, code: 422, type: 'UnprocessableEntityError' } }, 422],
    ['vllm', { error: unknown }, 404],
    ['vllm', { error: { message: 'Too many words', code: 'context_length_exceeded' } }, 400],
    ['vllm', { error: { ...invalid, message: 'No file /var/lib/models/secret' } }, 400],
  ]
  for (const [model, body, expected] of forms) {
    rig.upstream.rescript({ kind: 'reply', body })
    const whole = await ask(rig, 'openai', model)
    rig.upstream.rescript({ kind: 'stream', pieces: [`data: ${JSON.stringify(body)}\n\n`] })
    const streamed = await ask(rig, 'openai', model, { stream: true })
    assert.deepEqual([whole.status, streamed.status], [expected, expected])
    assert.equal(streamed.json.error.message, whole.json.error.message)
    assert.doesNotMatch(whole.text, /secret/)
    if (body === forms[0]?.[1]) assert.equal(whole.json.error.message, 'Invalid grammar')
  }
})
