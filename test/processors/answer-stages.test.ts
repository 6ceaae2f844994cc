import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'
import { askIn, clientDialects, endOf } from './dialect-players.ts'
import { everyCharacter, startEcho } from './echo-upstream.ts'

const address = 'jan.kowalski@firma.pl'
const shared = new SharedRouter()
after(() => shared.close())
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

/** A server that echoes what it received, and a service that judges. */
async function servers(
  say: (text: string) => string = (text) => text,
  isSafe: (text: string) => boolean = () => true,
): Promise<{ echo: ScriptedUpstream; judge: ScriptedUpstream; seen: string[] }> {
  const seen: string[] = []
  const echo = await startEcho({ cut: everyCharacter, say: (text) => ({ text: say(text) }) })
  const judge = await startUpstream(({ raw }) => {
    seen.push(raw.toString())
    return {
      kind: 'reply',
      body: { safe: isSafe(raw.toString()), results: { safe: isSafe(raw.toString()) } },
    }
  })
  open.push(echo, judge)
  return { echo, judge, seen }
}

async function routerWith(
  echo: ScriptedUpstream,
  processors: unknown[],
  env?: Record<string, string>,
): Promise<TestRouter> {
  const models = {
    processors,
    g: { m: { providers: [{ api_type: 'vllm', api_host: echo.url, model_path: 'up' }] } },
    active_models: { g: ['m'] },
  }
  const router = env === undefined ? await shared.with(models) : await startRouter({ models, env })
  open.push(router)
  return router
}

test('a guardrail receives responses with values, or with pseudonyms if it runs before unmasking', async () => {
  const { echo, judge, seen } = await servers((text) => `Write to ${text}.`)
  const service = { type: 'http', url: judge.url }
  for (const stream of [false, true])
    for (const [more, isMasked] of [
      [{}, false],
      [{ before: 'unmasking' }, true],
    ] as const) {
      const router = await routerWith(echo, [
        { type: 'masking' },
        { type: 'guardrail', on: 'response', service, ...more },
      ])
      for (const dialect of clientDialects) {
        seen.length = 0
        const received = await askIn(dialect, router.url, address, { stream })
        assert.equal(received.text, `Write to ${address}.`)
        assert.equal(seen.join('').includes(address), !isMasked, seen.join('\n'))
        assert.equal(/EMAIL_/.test(seen.join('')), isMasked)
      }
    }
})

test('responses blocked before or after unmasking are never sent, with guardrails on both sides', async () => {
  const { echo } = await servers((text) => `Good.\nNow bad ${text}.\n`)
  for (const stream of [false, true])
    for (const words of [['bad'], ['kowalski']])
      for (const before of ['unmasking', undefined] as const) {
        const isFound = words[0] === 'bad' || before === undefined
        const router = await routerWith(echo, [
          { type: 'masking' },
          { type: 'guardrail', on: 'response', words, ...(before && { before }) },
          {
            type: 'guardrail',
            name: 'other',
            on: 'response',
            words: ['never'],
            ...(before ? {} : { before: 'unmasking' }),
          },
        ])
        for (const dialect of clientDialects) {
          const received = await askIn(dialect, router.url, address, { stream })
          assert.equal(received.text.includes(address), !isFound, received.raw.text)
          if (isFound) endOf(dialect, received.raw.text, stream)
        }
      }
})

test('replacements before and after unmasking form one text', async () => {
  const { echo } = await servers((text) => `one ${text} two.\n`)
  const replaced = (word: string, more: Record<string, unknown>) => ({
    type: 'guardrail',
    on: 'response',
    action: 'replace',
    words: [word],
    replacement: word.toUpperCase(),
    ...more,
  })
  const router = await routerWith(echo, [
    { type: 'masking' },
    replaced('one', { name: 'early', before: 'unmasking' }),
    replaced('two', { name: 'late' }),
  ])
  for (const dialect of clientDialects)
    for (const stream of [false, true]) {
      const received = await askIn(dialect, router.url, address, { stream })
      assert.equal(received.text, `ONE ${address} TWO.\n`)
      assert.doesNotMatch(received.raw.text, /\bone\b|\btwo\b/)
    }
})

test('a stored response is what its client received, blocked or replaced', async () => {
  const { echo } = await servers((text) => `Good.\nNow ${text}.\n`)
  const router = await routerWith(echo, [
    { type: 'masking' },
    { type: 'guardrail', on: 'response', words: ['bad'] },
    {
      type: 'guardrail',
      name: 'other',
      on: 'response',
      words: ['poor'],
      action: 'replace',
      replacement: 'rich',
    },
  ])
  for (const stream of [false, true])
    for (const [word, expected] of [
      ['bad', undefined],
      ['poor', 'Good.\nNow rich.\n'],
      [address, `Good.\nNow ${address}.\n`],
    ] as const) {
      const { raw } = await askIn('responses', router.url, word, { stream })
      const id = /"id":"(resp_\w+)"/.exec(raw.text)?.[1] ?? ''
      const stored = await fetch(`${router.url}/v1/responses/${id}`)
      const text = await stored.text()
      assert.equal(stored.status, 200, text)
      // Whole words: an id may contain "bad".
      assert.doesNotMatch(text, /\b(?:bad|poor)\b|EMAIL_/)
      if (expected === undefined) endOf('responses', text, false)
      else assert.ok(text.includes(JSON.stringify(expected)), text)
      const next = await post(`${router.url}/v1/responses`, {
        model: 'm',
        input: 'x',
        previous_response_id: id,
      })
      assert.equal(next.status, 200, next.text)
    }
})

test('text endpoints, completions and generate are judged', async () => {
  const { echo } = await servers(() => 'this is bad')
  const router = await routerWith(echo, [{ type: 'guardrail', on: 'response', words: ['bad'] }])
  const article = await post(`${router.url}/api/simplify_text`, { model_name: 'm', texts: ['x'] })
  assert.equal(article.status, 400, article.text)
  assert.match(article.text, /content_filter/)
  for (const stream of [false, true]) {
    const generated = await post(`${router.url}/api/generate`, { model: 'm', prompt: 'x', stream })
    assert.match(generated.text, /^\{"error":"The response was blocked by 'guardrail'"\}\n?$/)
    const completed = await post(`${router.url}/v1/completions`, { model: 'm', prompt: 'x', stream })
    assert.doesNotMatch(completed.text, /\bbad\b/)
    assert.match(completed.text, /"finish_reason":"content_filter"/)
  }
})

test('llama.cpp infill responses are judged, whole and streamed', async () => {
  const upstream = await startUpstream(({ body }) => {
    const piece = (content: string, stop: boolean) => `data: ${JSON.stringify({ content, stop })}\n\n`
    if (!Object(body).stream) return { kind: 'reply', body: { content: 'this is bad', stop: true } }
    return { kind: 'stream', pieces: [piece('this is ', false), piece('bad', false), piece('', true)] }
  })
  const router = await startRouter({
    models: {
      processors: [{ type: 'guardrail', on: 'response', words: ['bad'] }],
      g: { m: { providers: [{ api_type: 'llamacpp', api_host: upstream.url }] } },
      active_models: { g: ['m'] },
    },
  })
  open.push(upstream, router)
  for (const stream of [false, true]) {
    const { status, text } = await post(`${router.url}/infill`, {
      model: 'm',
      input_prefix: 'a',
      input_suffix: 'b',
      stream,
    })
    assert.equal(status, 200, text)
    assert.doesNotMatch(text, /\bbad\b/)
    assert.match(text, /"content":"".*"stop":true/)
  }
})

test('requests of an extension are judged, and its processors judge and change responses', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-extension-'))
  open.push({ close: async () => rmSync(folder, { recursive: true }) })
  const file = join(folder, 'extension.mjs')
  writeFileSync(
    file,
    `export default async function extension(app) {
  app.processorTypes.add({
    name: 'loud',
    create: () => ({
      response(contents, { before }) {
        if (contents.length !== before.length) throw new Error('bug')
        if (contents.some((text) => text.includes('bad'))) return { type: 'block' }
        return { type: 'replace', contents: contents.map((text) => text.toUpperCase()) }
      },
    }),
  })
  const messages = ({ body }) => [{ role: 'user', content: body.text }]
  app.post('/asked', { config: { surface: 'openai' } }, async (request) => {
    const { text, finishReason } = await app.gateway.ask({ model: 'm', messages: messages(request) }, request)
    return { text, finishReason }
  })
  app.post('/streamed', { config: { surface: 'openai' } }, async (request) => {
    const answer = { text: '' }
    for await (const event of app.gateway.stream({ model: 'm', messages: messages(request) }, request)) {
      if (event.type === 'text') answer.text += event.text
      if (event.type === 'end') answer.finishReason = event.finishReason
    }
    return answer
  })
}`,
  )
  const { echo } = await servers((text) => `Hello.\nThis is ${text}`)
  const router = await routerWith(echo, [{ type: 'loud' }], { LLM_ROUTER_EXTENSIONS: file })
  for (const path of ['/asked', '/streamed']) {
    const good = await post(router.url + path, { text: 'good' })
    assert.deepEqual(JSON.parse(good.text), { text: 'HELLO.\nTHIS IS GOOD', finishReason: 'stop' })
    const bad = await post(router.url + path, { text: 'bad' })
    const { text, finishReason } = JSON.parse(bad.text)
    assert.ok(['', 'HELLO.\n'].includes(text), bad.text)
    assert.equal(finishReason, 'content_filter')
  }
})

test('LLM_ROUTER_FORCE_GUARDRAIL_RESPONSE judges every response with all of its services', async () => {
  const { echo, judge, seen } = await servers(
    (text) => text,
    (text) => !text.includes('bad'),
  )
  const router = await routerWith(echo, [], {
    LLM_ROUTER_FORCE_GUARDRAIL_RESPONSE: '1',
    LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_RESPONSE: 'nask_guard,sojka_guard',
    LLM_ROUTER_GUARDRAIL_NASK_GUARD_HOST: judge.url,
    LLM_ROUTER_GUARDRAIL_SOJKA_GUARD_HOST: judge.url,
  })
  assert.equal((await askIn('openai', router.url, 'good', { stream: true })).text, 'good')
  assert.deepEqual(
    seen.map((text) => JSON.parse(text)),
    [
      { messages: [{ role: 'assistant', content: 'good' }] },
      { messages: [{ role: 'assistant', content: 'good' }] },
    ],
  )
  assert.deepEqual(judge.requests.map(({ url }) => url).toSorted(), [
    '/api/guardrails/nask_guard',
    '/api/guardrails/sojka_guard',
  ])
  const { raw } = await askIn('openai', router.url, 'bad', { stream: true })
  endOf('openai', raw.text, true)
})

test('configuration errors of response guardrails prevent startup, each with its path', async () => {
  const { echo } = await servers()
  const outside = { type: 'http', url: 'https://judge.example.com/x' }
  for (const [entry, expected] of [
    [
      { on: 'response', expressions: ['a.*b'] },
      /expressions\[0\]: a match may be longer than 400 characters/,
    ],
    [{ on: 'both', words: ['x'.repeat(401)] }, /words\[0\]: a match may be longer/],
    [{ words: ['x'], before: 'unmasking' }, /before: "unmasking" applies to responses/],
    [{ on: 'both', service: outside, before: 'masking' }, /before: "masking" would send unmasked contents/],
    [{ action: 'replace', service: outside }, /action: "replace" applies to words and expressions/],
    [{ service: { type: 'model' } }, /service\.model: missing/],
    [{ service: { type: 'http' } }, /service\.url: missing/],
    [
      { service: { ...outside, api_token: `\${NOT_THERE}` } },
      /service\.api_token: the environment variable NOT_THERE is not set/,
    ],
  ] as const)
    await assert.rejects(
      routerWith(echo, [{ type: 'guardrail', ...entry }], {}),
      new RegExp(`processors\\[0\\]\\.${expected.source}`),
    )
  const accepted = { on: 'both', service: outside, before: 'masking', unmasked: true }
  await routerWith(echo, [{ type: 'guardrail', ...accepted }])
})

test("a service's token is sent only to that service", async () => {
  const { echo, judge } = await servers()
  const service = { type: 'http', url: judge.url, api_token: `\${JUDGE_TOKEN}` }
  const router = await routerWith(echo, [{ type: 'guardrail', on: 'both', service }], {
    JUDGE_TOKEN: 'sk-judge',
  })
  await askIn('openai', router.url, 'x', { stream: false })
  assert.deepEqual(
    judge.requests.map(({ headers }) => headers.authorization),
    ['Bearer sk-judge', 'Bearer sk-judge'],
  )
  assert.ok(judge.requests.every(({ body }) => isObject(body)))
  assert.doesNotMatch(JSON.stringify(router.logs), /sk-judge/)
})
