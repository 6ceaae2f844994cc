import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import AjvCompiler from '@fastify/ajv-compiler'
import { closedPort } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiStream,
  openaiText,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

interface Media {
  schema: object
  example?: unknown
}
interface Operation {
  tags: string[]
  summary: string
  parameters?: { name: string; in: string; example?: string }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { content: Record<string, Media> }>
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: object
}
interface Documented {
  method: string
  path: string
  operation: Operation
}

/** Responses of servers as their documentation shows them, by the end of the path. */
const answers: Record<string, unknown> = {
  // SGLang returns a list, vLLM and llama.cpp an object.
  rerank: [{ score: 0.9, document: 'Cats sleep.', index: 0 }],
  tokenize: { count: 1, max_model_len: 4096, tokens: [1] },
  detokenize: { prompt: 'Hello' },
  count_tokens: { input_tokens: 3 },
}

function upstreamAnswer({ url, body }: RecordedRequest) {
  if (/completions$/.test(url)) return Object(body).stream === true ? openaiStream(['Hi']) : openaiText('Hi')
  if (url.endsWith('/speech'))
    return { kind: 'stream' as const, headers: { 'content-type': 'audio/mpeg' }, pieces: ['sound'] }
  if (url.endsWith('/embeddings')) {
    const inputs = [Object(body).input].flat()
    const data = inputs.map((_input, index) => ({ object: 'embedding', index, embedding: [0.6, 0.8] }))
    const usage = { prompt_tokens: 2, total_tokens: 2 }
    return { kind: 'reply' as const, body: { object: 'list', data, usage } }
  }
  return { kind: 'reply' as const, body: answers[url.split('/').at(-1) ?? ''] ?? {} }
}

function operationsOf({ paths }: Document): Documented[] {
  return (
    Object.entries(paths)
      // They require a database: test/teams/ covers them.
      .filter(([path]) => !path.includes('/admin/') && path !== '/api/usage')
      .flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({
          method: method.toUpperCase(),
          path,
          operation,
        })),
      )
  )
}

/** The documented path with the examples of its parameters. */
function filled({ path, operation }: Documented, missing = 'unknown'): string {
  const known = (operation.parameters ?? []).reduce(
    (url, { name, example }) => (example === undefined ? url : url.replace(`{${name}}`, example)),
    path,
  )
  return known.replaceAll(/\{\w+\}/g, missing)
}

function exampleOf({ operation }: Documented): Record<string, unknown> | undefined {
  const example = operation.requestBody?.content['application/json']?.example
  return example === undefined ? undefined : Object(example)
}

describe('every response is documented in /openapi.json', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let locked: TestRouter
  let keys: KeysFile
  let document: Document
  let operations: Documented[]
  /** Each endpoint at the first of its paths. */
  let endpoints: Documented[]
  let compile: (schema: object) => (value: unknown) => boolean

  before(async () => {
    upstream = await startUpstream(upstreamAnswer)
    const at = (api_type: string, api_host = upstream.url) => [{ api_type, api_host }]
    const names = ['model', 'embedding-model', 'reranker', 'classifier', 'pooling-model']
    const openai = ['voice', 'painter', 'moderator'].map((name) => [`my-${name}`, at('openai')])
    const models = modelsConfig({
      demo: [{ id: 'demo', api_type: 'mock' }],
      ...Object.fromEntries([...names.map((name) => [`my-${name}`, at('vllm')]), ...openai]),
      'my-coder': at('llamacpp'),
      down: at('vllm', await closedPort()),
    })
    const env = {
      LLM_ROUTER_USE_PROMETHEUS: '1',
      LLM_ROUTER_ADMIN_KEY: 'operator-key-0123456789',
      LLM_ROUTER_BODY_LIMIT: '20000',
    }
    keys = keysFile([{ id: 'client', key: 'sk-router-client-0123456789' }])
    router = await startRouter({ env, models })
    locked = await startRouter({ env: { ...env, ...keys.env }, models })
    document = (await (await fetch(`${router.url}/openapi.json`)).json()) as Document // another test validates it
    operations = operationsOf(document)
    endpoints = operations.filter(({ operation }) => !operation.tags.includes('Other paths'))
    const build = AjvCompiler()({}, { customOptions: { strict: false, coerceTypes: false } } as never)
    // Compiling takes far longer than a request, and each schema is shared by many responses.
    const compiled = new Map<string, (value: unknown) => boolean>()
    compile = (schema) => {
      const key = JSON.stringify(schema)
      const check =
        compiled.get(key) ??
        (build({ schema: { ...schema, components: document.components } } as never) as never)
      compiled.set(key, check)
      return check
    }
  })
  after(async () => {
    await router.close()
    await locked.close()
    await upstream.close()
    keys.remove()
  })

  async function hold(documented: Documented, init: RequestInit, to = router, path = filled(documented)) {
    const { method, operation } = documented
    const response = await fetch(to.url + path, { method, redirect: 'manual', ...init })
    const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? ''
    const isEndless = method === 'GET' && type === 'text/event-stream'
    const text = isEndless ? '' : await response.text()
    if (isEndless) await response.body?.cancel()
    const { status } = response
    const where = `${method} ${path}: ${status} ${text.slice(0, 300)}`
    const answered = operation.responses[status] ?? operation.responses[`${Math.floor(status / 100)}XX`]
    assert.ok(answered, `${where}: the status is not documented`)
    if (text === '' && !isEndless) return status
    const media = Object.entries(answered.content ?? {}).find(([documentedType]) =>
      new RegExp(`^${documentedType.split(';')[0]?.replaceAll('*', '.*').replaceAll('+', '\\+')}$`).test(
        type,
      ),
    )?.[1]
    assert.ok(media, `${where}: ${type} is not documented`)
    if (type === 'application/json') assert.ok(compile(media.schema)(JSON.parse(text)), where)
    return status
  }
  const sent = (body: unknown): RequestInit => ({
    headers: { 'content-type': 'application/json', authorization: 'Bearer operator-key-0123456789' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

  it('for a successful request, whole and streamed', async () => {
    for (const documented of operations) {
      const example = exampleOf(documented)
      if (documented.method === 'GET') await hold(documented, {})
      if (example === undefined) continue
      // It requires a model with these targets.
      if (documented.operation.summary.startsWith('Set the weights')) continue
      const streams = endpoints.includes(documented) ? [{}, { stream: true }, { stream: false }] : [{}]
      for (const stream of streams)
        assert.equal(await hold(documented, sent({ ...example, ...stream })), 200, documented.path)
    }
  })

  it('for a body that is invalid, too large or of another type', async () => {
    for (const documented of endpoints) {
      if (!documented.operation.requestBody) continue
      const example = exampleOf(documented) ?? {}
      for (const body of ['{', '{"model":5}'])
        assert.equal(Math.floor((await hold(documented, sent(body))) / 100), 4)
      assert.equal(await hold(documented, sent({ ...example, padding: 'x'.repeat(30_000) })), 413)
      await hold(documented, { headers: { 'content-type': 'text/plain' }, body: 'hello' })
    }
  })

  it('for an unknown model, or if all servers of the model are down', async () => {
    for (const documented of endpoints) {
      const example = exampleOf(documented)
      if (!example || !('model' in example)) continue
      for (const model of ['nobody', 'down'])
        for (const stream of [{}, { stream: true }])
          await hold(documented, sent({ ...example, ...stream, model }))
    }
  })

  it('for an upstream that rejects, fails or returns something else', async (t) => {
    t.after(() => upstream.rescript(upstreamAnswer))
    const error = { message: 'no', type: 'invalid_request_error', param: null, code: null }
    for (const failure of [
      { kind: 'reply', status: 400, body: { error } },
      { kind: 'reply', status: 404, body: { detail: 'Not Found' } },
      { kind: 'reply', status: 429, headers: { 'retry-after': '1' }, body: { error } },
      { kind: 'reply', status: 500, body: '<html>' },
      { kind: 'reply', body: '<html>' },
    ] as const) {
      upstream.rescript(failure)
      for (const documented of endpoints) {
        const example = exampleOf(documented)
        if (example && 'model' in example && !documented.path.startsWith('/api/'))
          await hold(documented, sent({ ...example, model: 'my-model' }))
      }
    }
  })

  it('for a missing or invalid key', async () => {
    const statuses = new Set<number>()
    const wrong = { authorization: 'Bearer wrong' }
    for (const documented of endpoints) {
      const init = documented.method === 'POST' ? sent(exampleOf(documented) ?? {}) : {}
      statuses.add(await hold(documented, init, locked))
      await hold(documented, { ...init, headers: { ...init.headers, ...wrong } }, locked)
    }
    assert.ok(statuses.has(401))
  })
})
