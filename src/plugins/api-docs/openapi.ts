import { type TSchema, Type } from '@sinclair/typebox'
import { docsTags, type EndpointDocs } from '../../sdk/endpoint-docs.ts'
import type { Operation } from '../../sdk/operation.ts'
import { camelCase, type DocumentedRoute, endpointKey, firstPaths, operationIds } from './documented-route.ts'
import { errorForm } from './error-form.ts'

type Json = Record<string, unknown>

/** Schemas that several endpoints share, each under one name. */
interface Shared {
  schemas: Json
  names: Map<TSchema, string>
  exampleModel: ExampleModel
}

/** The named model if it is configured, otherwise one that supports one of these operations; undefined if there is none. */
export type ExampleModel = (operations: readonly Operation[], named: string) => string | undefined

/**
 * Builds the OpenAPI document of the routes. Source: OpenAPI Specification 3.1.1. Its schemas are JSON Schema, so the
 * request schemas are included unchanged except for the router's own keywords. `server`: URL of the router's root,
 * relative to the document. `keys`: whether clients need an API key. `exampleModel`: the models of examples.
 */
export function openapiDocument(
  routes: readonly DocumentedRoute[],
  {
    version,
    server = '.',
    keys,
    exampleModel = () => undefined,
  }: { version: string; server?: string; keys: boolean; exampleModel?: ExampleModel },
): Json {
  const ids = operationIds(routes)
  const first = firstPaths(routes)
  const shared: Shared = { schemas: {}, names: new Map(), exampleModel }
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = pathOf(route)
    const operations = paths[path] ?? {}
    const original = first.get(endpointKey(route)) ?? route
    const aliasDocs = original === route ? {} : otherPath(original)
    const operationId = ids.get(route) ?? ''
    operations[route.method.toLowerCase()] = { operationId, ...operationOf(route, shared), ...aliasDocs }
    paths[path] = operations
  }
  const used = new Set<string>(['Other paths', ...routes.map(({ docs }) => docs.tag)])
  return {
    openapi: '3.1.1',
    info: {
      title: 'llm-router',
      version,
      description:
        'One HTTP address in front of model servers, for OpenAI, Anthropic, Gemini and Ollama clients.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: server, description: 'This router' }],
    tags: Object.entries(docsTags).flatMap(([name, description]) =>
      used.has(name) ? [{ name, description }] : [],
    ),
    paths,
    components: { schemas: shared.schemas, ...schemesOf(routes, keys) },
    ...(keys ? { security: anyOf(clientSchemes) } : {}),
  }
}

function schemesOf(routes: readonly DocumentedRoute[], keys: boolean): Json {
  const operators = routes.some(({ operator }) => operator) ? operatorSchemes : {}
  const schemes = { ...(keys ? clientSchemes : {}), ...operators }
  return Object.keys(schemes).length === 0 ? {} : { securitySchemes: schemes }
}

function anyOf(schemes: object): Json[] {
  return Object.keys(schemes).map((name) => ({ [name]: [] }))
}

/** Either scheme is sufficient. */
const clientSchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: 'API key, as sent by OpenAI clients.' },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'x-api-key',
    description: 'API key, as sent by Anthropic clients.',
  },
  googleKey: {
    type: 'apiKey',
    in: 'header',
    name: 'x-goog-api-key',
    description: 'API key, as sent by Gemini clients.',
  },
} as const

/** Either scheme is sufficient, for routes that change the router. */
const operatorSchemes = {
  operatorBearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'LLM_ROUTER_ADMIN_KEY, or the key of a client with the surface `operator`.',
  },
  operatorKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same key.' },
} as const

function otherPath(original: DocumentedRoute): Json {
  return { tags: ['Other paths'], description: `The same as \`${original.method} ${pathOf(original)}\`.` }
}

function operationOf(route: DocumentedRoute, shared: Shared): Json {
  const { docs } = route
  const parameters = [...pathParameters(route, shared), ...queryParameters(route)]
  const body = requestBody(route, shared)
  return {
    tags: [docs.tag],
    summary: docs.summary,
    ...(docs.description === undefined ? {} : { description: docs.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: responsesOf(route, shared),
    ...(route.operator ? { security: anyOf(operatorSchemes) } : {}),
    ...(route.role === undefined ? {} : { 'x-required-role': route.role }),
  }
}

function pathOf(route: DocumentedRoute): string {
  return route.url.replaceAll(/:(\w+)|\*/g, (part, name) => `{${pathName(route, name ?? part)}}`)
}

/** Name of a path parameter in the document. */
function pathName({ docs }: DocumentedRoute, name: string): string {
  return docs.path?.[name]?.name ?? (name === '*' ? 'rest' : name)
}

function pathParameters(route: DocumentedRoute, shared: Shared): Json[] {
  return Array.from(route.url.matchAll(/:(\w+)|\*/g), ([part, name = part]) => ({
    name: pathName(route, name),
    in: 'path',
    required: true,
    description: route.docs.path?.[name]?.description ?? 'Part of the path',
    schema: { type: 'string' },
    ...exampleMember(pathExample(route, name, shared)),
  }))
}

function queryParameters({ docs }: DocumentedRoute): Json[] {
  return Object.entries(docs.query ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    schema: plain(schema),
  }))
}

/** A path whose example begins with the embedded model, such as `demo:generateContent`. */
function pathExample({ docs }: DocumentedRoute, name: string, shared: Shared): string | undefined {
  const example = docs.path?.[name]?.example
  if (!example?.startsWith('demo:')) return example
  const model = shared.exampleModel(['chat'], 'demo')
  return model === undefined ? example : example.replace('demo', () => model)
}

/** The example of a request, for a model that this router has. */
function bodyExample({ example, operations, tag }: EndpointDocs, shared: Shared): unknown {
  if (typeof example?.model !== 'string' || tag === 'Administration') return example
  const model = shared.exampleModel(operations ?? ['chat'], example.model)
  return model === undefined ? example : { ...example, model }
}

function requestBody({ body, docs }: DocumentedRoute, shared: Shared): Json | undefined {
  const { form } = docs
  const example = bodyExample(docs, shared)
  if (form)
    return {
      required: true,
      content: { [form.type]: { schema: plain(form.schema), ...exampleMember(example) } },
    }
  if (!body) return undefined
  const schema = reference(shared, body, `${camelCase(docs.id)}Request`, () =>
    docs.operations && docs.path === undefined ? withModel(body) : body,
  )
  return { required: true, content: { 'application/json': { schema, ...exampleMember(example) } } }
}

function exampleMember(example: unknown): Json {
  return example === undefined ? {} : { example }
}

const modelName = Type.String({
  description: 'Name of a model as `GET /v1/models` lists it; the field `model_name` is accepted too.',
})

/**
 * Requests may name the model in either of two fields. The request schema requires neither; the document requires
 * `model`.
 */
function withModel(body: TSchema): TSchema {
  return { ...body, properties: { ...body.properties, model: modelName } }
}

function responsesOf(route: DocumentedRoute, shared: Shared): Json {
  const { answers, status = '200' } = route.docs
  const { name, schema, type = 'application/json' } = errorForm(route.dialect)
  const error = { [type]: { schema: reference(shared, schema, name, () => schema) } }
  return {
    ...(answers.length === 0 ? {} : { [status]: success(route.docs, shared) }),
    '4XX': { description: 'The request is invalid, not permitted or over a limit.', content: error },
    '5XX': {
      description: 'The router or a server failed, or all servers are busy (see `Retry-After`).',
      content: error,
    },
  }
}

function success({ id, answers }: EndpointDocs, shared: Shared): Json {
  const content = answers.map(({ type, description, schema }) => {
    const text = type === '*/*' ? {} : { type: 'string' }
    const preferredName = schema?.title ?? `${camelCase(id)}Answer`
    const form = schema ? reference(shared, schema, preferredName, () => schema) : text
    return [type, { schema: { ...form, description } }]
  })
  return {
    description: answers.map(({ description }) => description).join(' '),
    content: Object.fromEntries(content),
  }
}

/** Adds the schema to the document once, under the name that its first user chose. */
function reference(shared: Shared, schema: TSchema, preferredName: string, content: () => TSchema): Json {
  let name = shared.names.get(schema)
  if (name === undefined) {
    name = Object.hasOwn(shared.schemas, preferredName)
      ? `${preferredName}${shared.names.size}`
      : preferredName
    shared.names.set(schema, name)
    shared.schemas[name] = plain(content())
  }
  return { $ref: `#/components/schemas/${name}` }
}

/** The schema as JSON, without the router's own keywords for error messages. */
function plain(schema: TSchema): Json {
  return JSON.parse(
    JSON.stringify(schema, (key, value: unknown) =>
      key === 'errorMessage' || key === 'allowed' ? undefined : value,
    ),
  )
}
