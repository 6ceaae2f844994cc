import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError } from '../../src/sdk/errors.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

const folder = mkdtempSync(join(tmpdir(), 'llm-router-checks-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0

/** Starts a router with an extension of this JavaScript, which gets the instance as `app`. */
function start(
  code: string,
  { processors = [], strategy = '' }: Options = {},
): [string, Promise<TestRouter>] {
  const file = join(folder, `${files++}.mjs`)
  writeFileSync(file, `export default async function (app) {\n  ${code}\n}\n`)
  const env: Record<string, string> = { LLM_ROUTER_EXTENSIONS: file }
  if (strategy !== '') env.LLM_ROUTER_BALANCE_STRATEGY = strategy
  const models = {
    ...modelsConfig({ demo: [{ api_type: 'mock' }] }),
    ...(processors.length > 0 && { processors }),
  }
  return [file, startRouter({ env, models })]
}

interface Options {
  processors?: unknown[]
  strategy?: string
}

const provider =
  "name: 'x', dialect: 'openai', flavour: {}, needsHost: true, path: () => '/v1', authHeaders: () => ({})"
const invalid: [code: string, ...problems: string[]][] = [
  ['app.providers.add()', 'a provider type needs a name'],
  [
    "app.providers.add({ name: 'x', flavour: {}, needsHost: 1 })",
    "'dialect' is required: a string",
    "'path' is required: a function",
    "'needsHost' must be true or false",
  ],
  [`app.providers.add({ ${provider}, healthPath: 1 })`, "'healthPath' must be a string"],
  [`app.providers.add({ ${provider}, engine: 'none' })`, "'engine' must be one of: vllm, sglang, "],
  [
    `app.providers.add({ ${provider}, listings: [{ path: 1 }] })`,
    "'listings[0].path' must be a string",
    "'listings[0].read' is required: a function",
  ],
  [`app.providers.add({ ${provider}, dialect: 'none' })`, "'dialect' must be one of: openai, "],
  [
    `app.providers.add({ ${provider}, path: async () => '/v1' })`,
    `'path' must return a string that starts with "/", or undefined, for "chat"`,
  ],
  [
    `app.providers.add({ ${provider}, authHeaders: () => 'key' })`,
    "'authHeaders' must return an object of valid header names and strings",
  ],
  ["app.strategies.add({ name: 'x' })", "'create' is required: a function"],
  ["app.strategies.add({ name: 'x', create: () => undefined })", "'create' must return an object"],
  ["app.strategies.add({ name: 'x', create: () => ({}) })", "'pick' is required: a function"],
  [
    "app.strategies.add({ name: 'x', exclusive: true, create: () => ({ pick: () => 1 }) })",
    "'order' is required: a function",
  ],
  ["app.dialects.add({ name: 'x', chat: {} })", "'writeError' is required: a function"],
  ["app.processorTypes.add({ name: 'x' })", "'create' is required: a function"],
  [
    "app.textEndpoints.add({ name: 'x', fields: {} })",
    "'summary' is required: a string",
    "'system' is required: a function",
  ],
  [
    "app.textEndpoints.add({ name: 'x', summary: 'X.', fields: { a: {} }, response: {}, system: () => ({}), text: () => '', answer: () => ({}) })",
    "'fields.a' must be a TypeBox schema",
  ],
  ["app.exchanges.onEnd('x')", 'onEnd needs a function'],
  [
    "app.get('/x', { config: { surface: 'none' } }, () => 1)",
    "endpoint /x: 'config.surface' must be one of: any, openai, ",
  ],
  [
    "app.get('/x', { config: { dialect: 'none' } }, () => 1)",
    "endpoint /x: 'config.dialect' must be one of: openai, ",
  ],
  [
    "app.post('/x', { schema: { body: { type: 'objekt' } } }, () => 1)",
    'POST /x: invalid schema of the body: ',
  ],
  ['throw null', 'null'],
]

test('an extension with missing or wrong members is refused at the start, with its file, the member and what is expected', async () => {
  for (const [code, ...problems] of invalid) {
    const [file, started] = start(code)
    await assert.rejects(started, (error) => {
      assert.ok(error instanceof ConfigError, `${code}: ${error}`)
      assert.equal(error.errors.length, 1, String(error))
      const [message = ''] = error.errors
      assert.ok(message.startsWith(`LLM_ROUTER_EXTENSIONS: "${file}": `), message)
      for (const problem of problems) assert.ok(message.includes(problem), `${message} lacks: ${problem}`)
      return true
    })
  }
})

test('a processor without methods is refused at the start, with the entry that creates it and its extension', async () => {
  for (const create of [
    '() => undefined',
    '() => ({})',
    'async () => ({ request: () => ({ type: "block" }) })',
  ]) {
    const [file, started] = start(`app.processorTypes.add({ name: 'x', create: ${create} })`, {
      processors: [{ type: 'x' }],
    })
    await assert.rejects(started, (error) => {
      assert.ok(error instanceof ConfigError)
      assert.match(
        error.message,
        /: processors\[0\]\.type: processor type "x" of ".*": the object that 'create' returns: /,
      )
      assert.ok(error.message.includes(file))
      return true
    })
  }
})

interface Status {
  models: { targets: { in_flight: number }[] }[]
}

const chat = { model: 'demo', messages }

test('a processor whose result is not a verdict fails closed', async () => {
  const results = [
    'undefined',
    "{ type: 'other' }",
    "{ type: 'replace' }",
    "{ type: 'replace', contents: [5] }",
  ]
  for (const method of ['request', 'response']) {
    for (const result of results) {
      const [, started] = start(
        `app.processorTypes.add({ name: 'x', create: () => ({ ${method}: () => (${result}) }) })`,
        {
          processors: [{ type: 'x' }],
        },
      )
      const router = await started
      const { status, text } = await post(`${router.url}/v1/chat/completions`, chat)
      await router.close()
      assert.equal(status, 503, `${method} ${result}: ${text}`)
      assert.equal(JSON.parse(text).error.code, 'processor_failed')
      assert.ok(router.logs.some(({ error_name: name }) => name === 'INVALID_VERDICT'))
    }
  }
})

test('a strategy that throws after an answer, and a listener that throws, do not change the answer', async () => {
  const [, started] = start(
    `app.strategies.add({ name: 'x', create: () => ({ pick: ([first]) => first, settled() { throw new Error('bug') } }) })
  app.exchanges.onEnd(() => { throw new Error('bug') })`,
    { strategy: 'x' },
  )
  const router = await started
  const failed = [
    router.logged(({ msg }) => msg === 'strategy failed'),
    router.logged(({ msg }) => msg === 'a listener failed at the end of a request'),
  ]
  const { status } = await post(`${router.url}/v1/chat/completions`, chat)
  assert.equal(status, 200)
  for (const { error_at: at } of await Promise.all(failed)) assert.match(String(at), /\.mjs:\d+$/)
  await router.close()
})

test('a strategy that returns no candidate is named in the error, and holds no slot', async () => {
  for (const create of [
    '({ pick: () => undefined })',
    '({ pick: async ([first]) => first })',
    '({ pick: ([first]) => first, taken() { throw new Error("bug") } })',
  ]) {
    const [, started] = start(`app.strategies.add({ name: 'x', create: () => ${create} })`, { strategy: 'x' })
    const router = await started
    const { status, text } = await post(`${router.url}/v1/chat/completions`, chat)
    const { models } = (await (await fetch(`${router.url}/api/status`)).json()) as Status
    await router.close()
    assert.equal(status, 500, text)
    if (!create.includes('taken'))
      assert.equal(JSON.parse(text).error.message, "The strategy 'x' returned no candidate")
    const inFlight = models.flatMap(({ targets }) => targets.map((target) => target.in_flight))
    assert.deepEqual(inFlight, [0])
  }
})

test('an extension that never finishes loading is refused after a minute', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const loading = new Promise((resolve) => process.once('extension-loading' as 'exit', resolve))
  const [file, started] = start("process.emit('extension-loading')\n  await new Promise(() => undefined)")
  await loading
  t.mock.timers.tick(60_000)
  await assert.rejects(started, {
    message: `LLM_ROUTER_EXTENSIONS: "${file}": it has not finished loading after 60 s`,
  })
})
