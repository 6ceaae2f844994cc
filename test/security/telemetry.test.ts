import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { postBytes, sendRaw } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaStream,
  ollamaText,
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
  router = await startRouter({
    env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
    models: modelsConfig({
      one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }],
      native: [{ id: 'native', api_type: 'ollama', api_host: upstream.url }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

/** The series of `/metrics` without their values. */
async function series(): Promise<Set<string>> {
  const text = await fetch(`${router.url}/metrics`).then((response) => response.text())
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Set(lines.map((line) => line.replace(/ \S+$/, '')))
}

test('S16 client requests create no new metric series', async () => {
  const send = async (index: number): Promise<void> => {
    const name = `random-${index}-${Math.random()}`
    await Promise.all([
      post(router.url + path, { model: name, messages }),
      post(`${router.url}/v1/${name}`, { model: 'one', messages }),
      fetch(`${router.url}/v1/models/${name}?x=${name}`, { headers: { 'user-agent': name, host: name } }),
      fetch(`${router.url}/${name}`, {
        method: ['PROPFIND', 'REPORT', 'PURGE', 'SEARCH'][index % 4] ?? 'GET',
      }),
      sendRaw(router.url, `GET /${name} HTTP/1.1\r\nhost: a b\r\nx-request-id: ${name}\r\n\r\n`),
    ])
  }
  for (let index = 0; index < 4; index++) await send(index)
  // The first scrape creates the series of the scrapes themselves.
  await series()
  const before = await series()
  assert.ok(before.size > 20)
  for (let index = 4; index < 60; index++) await send(index)
  // Series for kinds of garbage collection and active resources appear at their first occurrence, whenever that is.
  const isOfClients = (name: string): boolean => !/^nodejs_(?:gc_duration_seconds|active_)/.test(name)
  const added = [...(await series())].filter((name) => !before.has(name) && isOfClients(name))
  assert.deepEqual(added, [])
  assert.ok(![...before].some((name) => name.includes('random')))
})

const hostile = 'x\r\nlevel: error\u001b[31m\u2028\u0007{"msg":"request","status":200}'

test('S17 nothing that a client sends breaks a log line or makes one long', async () => {
  const from = router.logs.length
  const logged = router.requestLogged()
  const { status, headers } = await post(router.url + path, {
    model: hostile + 'm'.repeat(1024 * 1024),
    messages,
  })
  assert.equal(status, 404)
  await logged
  const ids = ['a b', 'a\u00e9', 'x'.repeat(65), 'a;b', '$(id)', '"', 'a\tb']
  for (const id of ids) {
    const answer = await sendRaw(
      router.url,
      `GET /v1/models HTTP/1.1\r\nhost: x\r\nx-request-id: ${id}\r\n\r\n`,
    )
    assert.match(answer.headers['x-request-id'] ?? '', /^[A-Za-z0-9_-]{1,64}$/)
    assert.notEqual(answer.headers['x-request-id'], id)
  }
  assert.match(headers.get('x-request-id') ?? '', /^[A-Za-z0-9_-]{1,64}$/)
  const lines = router.logs.slice(from).map((line) => JSON.stringify(line))
  assert.ok(lines.length > ids.length)
  for (const line of lines) {
    assert.ok(line.length < 1000, `${line.length} characters`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the claim
    assert.doesNotMatch(line, /[\u0000-\u001f\u007f]/)
  }
})

test('S21 field names cannot inject headers', async () => {
  upstream.rescript(ollamaText('Hi'))
  const field = 'a\r\nset-cookie: canary=1\r\n\r\n'
  const body = { model: 'native', messages, [field]: 1, [`b${'b'.repeat(500)}`]: 2, 'ż🦙': 3 }
  const answer = await sendRaw(router.url, postBytes(path, body))
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['set-cookie'], undefined)
  assert.match(answer.headers['x-llm-router-lost'] ?? '', /^[\w.[\], -]{1,4096}$/)
})

test('S21 model output cannot inject events', async () => {
  const texts = [
    '\n\ndata: [DONE]\n\n',
    '\r\n\r\nevent: error\r\n',
    '{"done":true}\n',
    '\u2028data: x',
    ': x',
  ]
  for (const [model, behaviour] of [
    ['one', openaiStream(texts)],
    ['native', ollamaStream(texts)],
  ] as const) {
    upstream.rescript(behaviour)
    const sse = await post(router.url + path, { model, messages, stream: true })
    const events = sse.text.split('\n\n').filter((event) => event !== '')
    assert.equal(events.at(-1), 'data: [DONE]')
    const said = events.slice(0, -1).map((event) => JSON.parse(event.replace(/^data: /, '')))
    const content = said.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
    assert.equal(content, texts.join(''))

    const lines = (await post(`${router.url}/api/chat`, { model, messages })).text.trimEnd().split('\n')
    const read = lines.map((line) => JSON.parse(line))
    assert.equal(read.map(({ message }) => message.content).join(''), texts.join(''))
    assert.equal(read.filter(({ done }) => done).length, 1)
  }
})
