import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import OpenAI, { toFile } from 'openai'
import { eventually } from '../helpers/eventually.ts'
import { bearer, KeyedRouter, keys } from './keyed-router.ts'

const url = '/v1/audio/transcriptions'

let keyed: KeyedRouter

before(async () => {
  keyed = await KeyedRouter.open()
  keyed.answer = () => ({ kind: 'reply', body: { text: 'hello' } })
})
after(() => keyed.close())

/** What the upstream received last, read by another parser than the router's. */
async function lastForm(): Promise<FormData> {
  const { raw, headers } = keyed.sent.at(-1) ?? assert.fail('the upstream received nothing')
  const type = String(headers['content-type'])
  return new Response(new Uint8Array(raw), { headers: { 'content-type': type } }).formData()
}

async function send(body: string, boundary = 'b1'): Promise<Response> {
  return fetch(keyed.router.url + url, {
    method: 'POST',
    headers: {
      ...keyed.fromNewAddress(),
      ...bearer(keys.few),
      'content-type': `multipart/form-data; boundary=${boundary}`,
    },
    body,
  })
}

const field = (disposition: string, value: string): string =>
  `--b1\r\nContent-Disposition: ${disposition}\r\n\r\n${value}\r\n`
const permitted = field('form-data; name="model"', 'small')
const recording = field('form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav', 'RIFF')

test('S9 no spelling of a form gives access to a model without a right to it', async () => {
  const from = keyed.sent.length
  const forms = [
    'form-data; x="; name=y"; name="model"',
    'form-data; name="y"; name="model"',
    "form-data; name=y; name*=utf-8''model",
    'form-data;\r\n name="model"',
    'form-data; name="y"\r\nContent-Disposition: form-data; name="model"',
    'form-data; filename="; name=y"; name="model"',
    'form-data; name="mo\\del"',
    'form-data; name="Model"',
    'form-data; name="y"; filename="\\"; name="model"',
  ].flatMap((disposition) => {
    const other = field(disposition, 'Large')
    return [`${other}${permitted}`, `${permitted}${other}`].map((form) => `${recording}${form}--b1--\r\n`)
  })
  forms.push(`${permitted}${permitted}${recording}--b1--\r\n`)
  forms.push(`${permitted}${recording.slice(0, -2)}\n--b1\n${permitted.slice(6)}--b1--\r\n`)
  for (const form of forms) {
    const answer = await send(form)
    assert.equal(answer.status, 400, form)
    const { error } = Object(await answer.json())
    assert.equal(error.type, 'invalid_request_error')
    assert.match(error.message, /form|'model'|'Model'/)
  }
  assert.equal((await send(`${recording}${field('form-data; name="model"', 'Large')}--b1--\r\n`)).status, 404)
  assert.equal(keyed.sent.length, from)
})

test('S9 an upstream receives the parts that were checked, and nothing around them', async () => {
  const odd = field('Form-Data;name=prompt\r\nContent-Length: 1\r\nX-Name: model', 'a')
  const form = `name="model"\r\n\r\nLarge\r\n${odd}${permitted}${recording}--b1--\r\n${permitted}--b1--\r\n`
  const answer = await send(form)
  assert.deepEqual([answer.status, await answer.json()], [200, { text: 'hello' }])
  const { raw, headers } = keyed.sent.at(-1) ?? assert.fail()
  assert.equal(raw.toString(), `${field('form-data; name="prompt"', 'a')}${permitted}${recording}--b1--\r\n`)
  assert.equal(headers['content-type'], 'multipart/form-data; boundary="b1"')
  assert.equal(Number(headers['content-length']), raw.length)
})

test('forms of widely used clients arrive whole', async (t) => {
  const bytes = new Uint8Array(Buffer.from('RIFF\r\n--x\r\n\0'))
  const names = ['a.wav', 'zażółć; 录音 (1).wav', 'a"b=c,d.wav']
  const check = async (name: string | undefined): Promise<void> => {
    const form = await lastForm()
    const file = form.get('file')
    assert.ok(file instanceof File)
    assert.deepEqual(new Uint8Array(await file.arrayBuffer()), bytes)
    if (name !== undefined) assert.equal(file.name, name)
    assert.deepEqual(form.getAll('model'), ['small'])
    assert.deepEqual(form.getAll('timestamp_granularities[]'), ['word', 'segment'])
  }
  const client = new OpenAI({ baseURL: `${keyed.router.url}/v1`, apiKey: keys.few, maxRetries: 0 })
  for (const name of names) {
    await t.test(`a form of openai arrives whole: ${name}`, async () => {
      await client.audio.transcriptions.create({
        file: await toFile(bytes, name, { type: 'audio/wav' }),
        model: 'small',
        timestamp_granularities: ['word', 'segment'],
      })
      await check(name)
    })
    await t.test(`a form of fetch arrives whole: ${name}`, async () => {
      const body = new FormData()
      body.append('timestamp_granularities[]', 'word')
      body.append('file', new Blob([bytes]), name)
      body.append('model', 'small')
      body.append('timestamp_granularities[]', 'segment')
      const answer = await fetch(keyed.router.url + url, { method: 'POST', headers: bearer(keys.few), body })
      assert.equal(answer.status, 200)
      await check(name)
    })
  }
  await t.test('a form of curl arrives whole', async () => {
    const fields = ['model=small', 'timestamp_granularities[]=word', 'timestamp_granularities[]=segment']
    const file = ['-F', `file=@-;filename=a b.wav;type=audio/wav`]
    const args = ['-sS', '-w', '%{http_code}', '-H', `authorization: Bearer ${keys.few}`]
    const running = promisify(execFile)('curl', [
      ...args,
      ...file,
      ...fields.flatMap((each) => ['-F', each]),
      keyed.router.url + url,
    ])
    running.child.stdin?.end(bytes)
    assert.match((await running).stdout, /"hello"\}200$/)
    await check('a b.wav')
  })
  // As these libraries write it: the name in raw UTF-8 (requests), without quotes (.NET), with additional headers (OkHttp).
  for (const [library, head] of [
    ['requests', 'Content-Disposition: form-data; name="file"; filename="zażółć.wav"'],
    ['.NET', 'Content-Type: audio/wav\r\nContent-Disposition: form-data; name=file; filename=a.wav'],
    [
      'OkHttp',
      'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Transfer-Encoding: binary\r\nContent-Type: audio/wav\r\nContent-Length: 13',
    ],
  ] as const) {
    await t.test(`a form of ${library} arrives whole`, async () => {
      const lists = ['word', 'segment']
        .map((value) => field('form-data; name="timestamp_granularities[]"', value))
        .join('')
      const file = `--b1\r\n${head}\r\n\r\n${Buffer.from(bytes).toString()}\r\n`
      assert.equal((await send(`${lists}${permitted}${file}--b1--\r\n`)).status, 200)
      await check(undefined)
    })
  }
})

test('a form that is rejected while the client is still sending it gets its error, and no other request is affected', async () => {
  const request = httpRequest(keyed.router.url + url, {
    method: 'POST',
    headers: {
      ...keyed.fromNewAddress(),
      ...bearer(keys.few),
      'content-type': 'multipart/form-data; boundary=b1',
      'content-length': 10_000,
    },
  })
  const answered = once(request, 'response')
  request.write(field('form-data; name="a\\b"', 'x'))
  const [response] = await answered
  assert.equal(response.statusCode, 400)
  request.on('error', () => undefined).destroy()
  assert.equal((await send(`${permitted}${recording}--b1--\r\n`)).status, 200)
})

test('a client that leaves in the middle of a chunked form leaves no open file behind', {
  skip: process.platform !== 'linux' && 'lists open files in /proc',
}, async () => {
  const request = httpRequest(keyed.router.url + url, {
    method: 'POST',
    headers: {
      ...keyed.fromNewAddress(),
      ...bearer(keys.few),
      'content-type': 'multipart/form-data; boundary=b1',
    },
  })
  request.on('error', () => undefined).write(permitted)
  await eventually(() => spooledFiles() === 1)
  request.destroy()
  await eventually(() => spooledFiles() === 0)
})

/** Number of forms on disk that this process has open. */
function spooledFiles(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /llm-router-.*\/body/.test(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false // the descriptor of the listing itself
    }
  }).length
}
