import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it, test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Value } from '@sinclair/typebox/value'
import { plainDocs } from '../../src/plugins/api-docs/documented-route.ts'
import { errorForm } from '../../src/plugins/api-docs/error-form.ts'
import { openapiDocument } from '../../src/plugins/api-docs/openapi.ts'
import { freePort } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

interface Media {
  schema: { $ref?: string }
  example?: unknown
}
interface Operation {
  operationId: string
  tags: string[]
  summary: string
  parameters?: { name: string; in: string; example?: string }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { content: Record<string, Media> }>
}
interface Document {
  servers: { url: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, { properties: Record<string, unknown>; required?: string[] }> }
}

const operatorKey = 'operator-key-0123456789'

const demo = [{ id: 'demo', api_type: 'mock' }]

async function documentOf({ url }: TestRouter, path = '/openapi.json'): Promise<Document> {
  const response = await fetch(url + path)
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
  return (await response.json()) as Document // the validator checks it
}

function operationsOf({ paths }: Document): { method: string; path: string; operation: Operation }[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
}

/** Responses of servers that embed, rerank and the like. */
function answerOf({ url, body }: RecordedRequest): unknown {
  if (!url.endsWith('/embeddings')) return {}
  const inputs = [Object(body).input].flat()
  const data = inputs.map((_input, index) => ({ object: 'embedding', index, embedding: [0.6, 0.8] }))
  return { object: 'list', data, usage: { prompt_tokens: 2, total_tokens: 2 } }
}

describe('the OpenAPI document', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let document: Document

  before(async () => {
    upstream = await startUpstream((request) => ({ kind: 'reply', body: answerOf(request) }))
    const vllm = [{ api_type: 'vllm', api_host: upstream.url }]
    const openai = [{ api_type: 'openai', api_host: upstream.url }]
    router = await startRouter({
      env: {
        LLM_ROUTER_USE_PROMETHEUS: '1',
        LLM_ROUTER_ADMIN_KEY: operatorKey,
        LLM_ROUTER_EP_PREFIX: '/own',
        LLM_ROUTER_EXTENSIONS: join(import.meta.dirname, '../fixtures/extensions/seen-routes.ts'),
      },
      models: modelsConfig({
        demo,
        'my-model': vllm,
        'my-embedding-model': vllm,
        'my-reranker': vllm,
        'my-coder': [{ api_type: 'llamacpp', api_host: upstream.url }],
        'my-voice': openai,
        'my-painter': openai,
        'my-moderator': openai,
        'my-classifier': vllm,
        'my-pooling-model': vllm,
      }),
    })
    document = await documentOf(router)
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(JSON.parse(JSON.stringify(document)))
    assert.ok(valid, JSON.stringify(errors))
    assert.equal(validator.version, '3.1')
  })

  it('has every route except files of pages, and no other', () => {
    const seen = router.app.seenRoutes ?? assert.fail('the extension is not loaded')
    const gets = new Set(seen.filter(({ method }) => method === 'GET').map(({ url }) => url))
    const wanted = seen.filter(
      ({ method, url, docs }) => docs !== false && !(method === 'HEAD' && gets.has(url)),
    )
    const names = wanted.map(({ method, url }) => `${method} ${url.replaceAll(/:\w+|\*/g, '{}')}`)
    const documented = operationsOf(document).map(
      ({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`,
    )
    assert.deepEqual(documented.toSorted(), names.toSorted())
  })

  it('leaves out files of pages only', () => {
    const hidden = router.app.seenRoutes?.flatMap(({ method, url, docs }) =>
      docs === false && method === 'GET' ? [url] : [],
    )
    const files = ['/docs/scalar.js', '/docs/start.js', '/ui/:build/*']
    assert.deepEqual(hidden?.toSorted(), [...files, ...files.map((path) => `/own${path}`)].toSorted())
  })

  it('describes every route of the router', () => {
    const silent = router.app.seenRoutes?.filter(({ docs }) => docs === undefined).map(({ url }) => url)
    assert.deepEqual(new Set(silent), new Set(['/of-an-extension/:part']))
  })

  it('describes a route of an extension as its registration does', () => {
    const { operationId, tags, parameters } = document.paths['/of-an-extension/{part}']?.get ?? assert.fail()
    assert.deepEqual([operationId, tags], ['getOfAnExtensionPart', ['Extensions']])
    assert.deepEqual(
      parameters?.map((each) => [each.name, each.in]),
      [['part', 'path']],
    )
  })

  it('names an operation after its endpoint, and at other paths after the path too', () => {
    const ids = operationsOf(document).map(({ operation }) => operation.operationId)
    assert.equal(new Set(ids).size, ids.length)
    assert.equal(document.paths['/v1/chat/completions']?.post?.operationId, 'createChatCompletion')
    const other = document.paths['/own/v1/chat/completions']?.post ?? assert.fail()
    assert.equal(other.operationId, 'createChatCompletionAtOwnV1ChatCompletions')
    assert.deepEqual(other.tags, ['Other paths'])
  })

  it('has for every JSON request the schema that validates it, including the model', () => {
    const { OllamaChatRequest: chat } = document.components.schemas
    assert.ok(chat && 'messages' in chat.properties && 'model' in chat.properties)
    const media = document.paths['/own/chat']?.post?.requestBody?.content['application/json']
    assert.deepEqual(media?.schema, { $ref: '#/components/schemas/OllamaChatRequest' })
    assert.doesNotMatch(JSON.stringify(document), /errorMessage/)
  })

  it('has only request examples that succeed', async () => {
    const examples = operationsOf(document).flatMap(({ method, path, operation }) => {
      // They require a database: test/teams/clients.test.ts sends them.
      if (operation.tags.includes('Administration')) return []
      // Requires a model with these targets: test/routes/targets.test.ts sends it.
      if (operation.operationId.startsWith('setWeights')) return []
      const example = operation.requestBody?.content['application/json']?.example
      const filled = (operation.parameters ?? []).reduce(
        (url, { name, example: value }) => (value === undefined ? url : url.replace(`{${name}}`, value)),
        path,
      )
      return example === undefined ? [] : [{ method, path: filled, example }]
    })
    assert.ok(examples.length > 40)
    for (const { method, path, example } of examples) {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${operatorKey}` }
      const response = await fetch(router.url + path, { method, headers, body: JSON.stringify(example) })
      const text = await response.text()
      assert.equal(response.status, 200, `${method} ${path}: ${text}`)
    }
  })

  it('has a request example for every operation with a JSON body', () => {
    const without = operationsOf(document).filter(
      ({ operation }) =>
        operation.requestBody !== undefined &&
        operation.requestBody.content['application/json']?.example === undefined,
    )
    assert.deepEqual(
      new Set(without.map(({ operation }) => operation.summary)),
      new Set(['Create a transcription', 'Edit images', 'Translate speech into English text']),
    )
  })

  it('describes the error format of each path', async () => {
    const forms = new Map(
      ['openai', 'ollama', 'anthropic', 'gemini', 'problem'].map((each) => [
        errorForm(each).name,
        errorForm(each).schema,
      ]),
    )
    for (const { method, path, operation } of operationsOf(document)) {
      const unknown = /\{(model|response_id)\}/.test(path)
      if (!unknown && operation.requestBody?.content['application/json'] === undefined) continue
      const init = method === 'POST' ? { body: '[]', headers: { 'content-type': 'application/json' } } : {}
      const response = await fetch(router.url + path.replaceAll(/\{\w+\}/g, 'unknown'), { method, ...init })
      assert.equal(Math.floor(response.status / 100), 4, `${method} ${path}`)
      const type = response.headers.get('content-type')?.split(';')[0] ?? ''
      const name = operation.responses['4XX']?.content[type]?.schema.$ref?.split('/').at(-1)
      const form = forms.get(name ?? '') ?? assert.fail(`${method} ${path}: no form`)
      const answer: unknown = await response.json()
      assert.ok(Value.Check(form, answer), `${method} ${path}: ${name} is not ${JSON.stringify(answer)}`)
    }
  })

  it('is the same below the prefix, except for the server URL', async () => {
    const below = await documentOf(router, '/own/openapi.json')
    assert.deepEqual({ ...below, servers: document.servers }, document)
    for (const [path, { servers }] of [
      ['/openapi.json', document],
      ['/own/openapi.json', below],
    ] as const) {
      const root = new URL(servers[0]?.url ?? assert.fail('no server'), router.url + path)
      assert.equal(root.href, `${router.url}/`)
    }
  })
})

test('the OpenAPI document says how to send a key when clients need one', async () => {
  const docs = plainDocs('GET', '/x')
  const routes = [
    { method: 'GET', url: '/x', body: undefined, dialect: 'openai', admin: false, operator: false, docs },
  ]
  const document = openapiDocument(routes, { version: '1', keys: true })
  assert.deepEqual(document.security, [{ bearer: [] }, { apiKey: [] }, { googleKey: [] }])
  const { valid, errors } = await new Validator().validate(document)
  assert.ok(valid, JSON.stringify(errors))
  assert.equal(openapiDocument(routes, { version: '1', keys: false }).security, undefined)
})

test('LLM_ROUTER_DOCS=0 disables the OpenAPI document and the page', async (t) => {
  const router = await startRouter({ env: { LLM_ROUTER_DOCS: '0' }, models: modelsConfig({ demo }) })
  t.after(() => router.close())
  for (const path of ['/openapi.json', '/api/openapi.json', '/docs', '/docs/scalar.js'])
    assert.equal((await fetch(router.url + path)).status, 404, path)
})

test('the OpenAPI document for clients leaves out what is served on the admin port only', async (t) => {
  const env = { LLM_ROUTER_ADMIN_PORT: `${await freePort()}`, LLM_ROUTER_USE_PROMETHEUS: '1' }
  const router = await startRouter({ env, models: modelsConfig({ demo }) })
  t.after(() => router.close())
  const paths = Object.keys((await documentOf(router)).paths)
  assert.deepEqual(
    paths.filter((path) => /metrics|status|livez|readyz|healthz|\/ui/.test(path)),
    [],
  )
  assert.ok(paths.includes('/v1/chat/completions') && paths.includes('/ping'))
})
