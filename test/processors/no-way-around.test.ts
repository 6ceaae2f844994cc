import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { request } from 'undici'
import { isObject, type JsonObject } from '../../src/lib/json/read.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const address = 'jan.kowalski@firma.pl'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream({ kind: 'reply', status: 400, body: { error: { message: 'no' } } })
  const provider = (type: string, more: object = {}) => ({ api_type: type, api_host: upstream.url, ...more })
  router = await startRouter({
    models: {
      processors: [{ type: 'masking' }],
      g: {
        openai: { providers: [provider('vllm', { responses: true, paths: allPaths })] },
        ollama: { providers: [provider('ollama')] },
        anthropic: { providers: [provider('anthropic')] },
        gemini: { providers: [provider('gemini')] },
        llamacpp: { providers: [provider('llamacpp')] },
      },
      active_models: { g: models },
    },
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

const models = ['openai', 'ollama', 'anthropic', 'gemini', 'llamacpp']

const allPaths = Object.fromEntries(
  ['moderation', 'image', 'image_edit', 'speech', 'infill', 'rerank', 'score', 'pooling', 'classify'].map(
    (name) => [name, `/v1/${name}`],
  ),
)

test('an address in any string of any route reaches no server', { timeout: 100_000 }, async () => {
  const document: unknown = await (await fetch(`${router.url}/openapi.json`)).json()
  const paths = isObject(document) && isObject(document.paths) ? document.paths : {}
  const requests: { path: string; url: string; body: JsonObject }[] = []
  const operations = new Set<string>()
  for (const [path, methods] of Object.entries(paths)) {
    const operation = isObject(methods) ? methods.post : undefined
    if (!isObject(operation) || /\/(?:targets|keys|records|session|usage|models-config)/.test(path)) continue
    // Paths of one operation have one handler.
    const name = String(operation.summary)
    if (operations.has(name)) continue
    operations.add(name)
    // All bodies go to one server or another, and the first ones to each type.
    for (const [index, body] of bodiesOf(operation, document).entries())
      for (const model of index < 2 ? models : [models[index % models.length]]) {
        const url =
          router.url + path.replace('{call}', `${model}:generateContent`).replaceAll(/\{\w+\}/g, 'x')
        requests.push({ path, url, body: path.includes('{call}') ? body : { ...body, model } })
      }
  }
  assert.ok(operations.size > 20, [...operations].join())
  const queue = requests.values()
  const work = async (): Promise<void> => {
    for (const { url, body } of queue) {
      const headers = { 'content-type': 'application/json' }
      // fetch() takes three times as long.
      const response = await request(url, { method: 'POST', headers, body: JSON.stringify(body) })
      await response.body.text()
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
  for (const { raw, url, headers } of upstream.requests) {
    const sent = `${url} ${JSON.stringify(headers)} ${raw.toString()}`
    if (sent.includes('kowalski')) assert.fail(`${url} received ${raw.toString()}`)
  }
  assert.ok(upstream.requests.length > 100, String(upstream.requests.length))
})

/** The operation's example with the address in each string of its schema in turn, and in all strings of the example. */
function bodiesOf(operation: JsonObject, document: unknown): JsonObject[] {
  const content = isObject(operation.requestBody) ? operation.requestBody.content : undefined
  const json = isObject(content) ? content['application/json'] : undefined
  if (!isObject(json)) return []
  const example = isObject(json.example) ? json.example : {}
  const samples = samplesOf(json.schema, document, 0)
  const bodies: JsonObject[] = [everywhere(example) as JsonObject]
  for (const sample of samples) if (isObject(sample)) bodies.push({ ...example, ...sample })
  for (const member of ['user', 'metadata', 'anything', 'safety_identifier', 'extra_body'])
    bodies.push(
      { ...example, [member]: address },
      { ...example, [member]: { a: address } },
      { ...example, [member]: [address] },
    )
  return bodies
}

function everywhere(value: unknown): unknown {
  if (typeof value === 'string') return value === 'user' ? value : `${value} ${address}`
  if (Array.isArray(value)) return value.map(everywhere)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, key === 'model' ? member : everywhere(member)]),
  )
}

/** Values of a schema, each with the address in one position. */
function samplesOf(schema: unknown, document: unknown, depth: number): unknown[] {
  if (!isObject(schema) || depth > 8) return []
  if (typeof schema.$ref === 'string') return samplesOf(resolved(schema.$ref, document), document, depth + 1)
  const variants = schema.anyOf ?? schema.oneOf
  if (Array.isArray(variants)) return variants.flatMap((variant) => samplesOf(variant, document, depth + 1))
  if ('const' in schema || 'enum' in schema) return []
  switch (schema.type) {
    case 'string':
      return [address]
    case 'array':
      return samplesOf(schema.items, document, depth + 1).map((item) => [item])
    case 'object': {
      const properties = isObject(schema.properties) ? schema.properties : {}
      const required = Array.isArray(schema.required) ? schema.required : []
      const base = Object.fromEntries(
        required.map((name: unknown) => [String(name), plainOf(properties[String(name)], document, 0)]),
      )
      const own = Object.entries(properties).flatMap(([name, property]) =>
        samplesOf(property, document, depth + 1).map((value) => ({ ...base, [name]: value })),
      )
      return Object.keys(properties).length > 0
        ? own
        : [
            { ...base, note: address },
            { ...base, [address]: 1 },
          ]
    }
    default:
      return schema.type === undefined ? [address, { type: 'text', text: address }, [address]] : []
  }
}

/** A valid value of a schema. */
function plainOf(schema: unknown, document: unknown, depth: number): unknown {
  if (!isObject(schema) || depth > 8) return 'x'
  if (typeof schema.$ref === 'string') return plainOf(resolved(schema.$ref, document), document, depth + 1)
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  const variants = schema.anyOf ?? schema.oneOf
  if (Array.isArray(variants)) return plainOf(variants[0], document, depth + 1)
  switch (schema.type) {
    case 'array':
      return [plainOf(schema.items, document, depth + 1)]
    case 'object': {
      const required = Array.isArray(schema.required) ? schema.required : []
      const properties = isObject(schema.properties) ? schema.properties : {}
      return Object.fromEntries(
        required.map((name: unknown) => [
          String(name),
          plainOf(properties[String(name)], document, depth + 1),
        ]),
      )
    }
    case 'number':
    case 'integer':
      return 1
    case 'boolean':
      return true
    default:
      return 'user'
  }
}

function resolved(ref: string, document: unknown): unknown {
  let node = document
  for (const step of ref.replace(/^#\//, '').split('/')) node = isObject(node) ? node[step] : undefined
  return node
}
