import { type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import type { Sampling } from '../../sdk/chat.ts'
import { textEndpointErrors } from '../../sdk/checks/text-endpoint.ts'
import { type EndpointDocs, events, json, lines } from '../../sdk/endpoint-docs.ts'
import { modelNotFound } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import { bodySchema, type SharedBody, type TextEndpoint } from '../../sdk/text-endpoint.ts'
import type { UpstreamCost } from '../auth/request-cost.ts'
import { answerEach } from './each-text.ts'
import { laxBody } from './lax-body.ts'
import { renderSystem } from './system-prompt.ts'
import { checkRequired, defaultsOf, MissingArguments, modelNameOf, samplingOf } from './text-request.ts'
import { answerOne, type TextRun } from './text-run.ts'

/** Description of a text endpoint. */
export interface TextEndpointEntry {
  name: string
  summary: string
  paths: readonly string[]
  /** JSON Schema of the request. */
  request: TObject
  /** JSON Schema of `response` in the result. */
  response: TSchema | { type: 'array'; items: TSchema }
}

declare module 'fastify' {
  interface FastifyInstance {
    textEndpoints: {
      /**
       * Serves an endpoint at `P/<name>`, `/builtin/<name>` and `P/builtin/<name>`. Throws if a path is already in use.
       */
      add<Fields extends TProperties, Result extends TSchema>(definition: TextEndpoint<Fields, Result>): void
      /** All endpoints, sorted by name. */
      list(): readonly TextEndpointEntry[]
    }
  }
}

/** Creates routes from text endpoint definitions: validates the request, asks the model, formats the response. */
export default fp(
  (app, _options, done) => {
    const entries = new Map<string, TextEndpointEntry>()
    app.decorate('textEndpoints', {
      add(definition) {
        // Safe: its functions only get values that its own schema has validated.
        const endpoint: TextEndpoint = definition
        const errors = textEndpointErrors(endpoint)
        const { name, summary } = endpoint ?? {}
        if (typeof name !== 'string' || name === '') throw new Error('a text endpoint needs a name')
        if (errors.length > 0) throw new Error(`text endpoint "${name}": ${errors.join('; ')}`)
        const request = bodySchema(endpoint)
        const response = 'texts' in endpoint ? listOf(endpoint.item) : endpoint.response
        const paths = endpointPaths(app.config.endpointPrefix, {
          fixed: [`/builtin/${name}`],
          prefixed: [`/${name}`, `/builtin/${name}`],
        })
        const docs = docsOf(endpoint, response)
        for (const path of paths) serve(app, endpoint, { schema: request, docs }, path)
        entries.set(name, { name, summary, paths, request, response })
      },
      list: () => [...entries.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    })
    done()
  },
  {
    name: 'text-endpoints',
    dependencies: ['config', 'registries', 'exchange', 'errors', 'validation', 'body', 'prompts'],
  },
)

function listOf(items: TSchema): { type: 'array'; items: TSchema } {
  return { type: 'array', items }
}

function docsOf(endpoint: TextEndpoint, response: TSchema | { type: 'array'; items: TSchema }): EndpointDocs {
  const { name, summary, example } = endpoint
  const streams =
    'texts' in endpoint
      ? [
          events('With `stream: true`: one event per text.'),
          lines('The same, for `Accept: application/x-ndjson`.'),
        ]
      : [events('With `stream: true`: the response as chat chunks.')]
  return {
    id: name.replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase()),
    tag: 'Text endpoints',
    summary: summary.replace(/\.$/, ''),
    operations: ['chat'],
    answers: [json('The answer.', Type.Object({ response: Type.Unsafe(response) })), ...streams],
    ...(example === undefined ? {} : { example: { model: 'demo', ...example } }),
  }
}

interface Described {
  schema: TObject
  docs: EndpointDocs
}

function serve(app: FastifyInstance, endpoint: TextEndpoint, { schema, docs }: Described, url: string): void {
  app.route<{ Body: Record<string, unknown> | undefined }>({
    method: 'POST',
    url,
    config: {
      dialect: 'openai',
      surface: 'text',
      forms: true,
      retrieves: 'history' in endpoint,
      docs,
      upstreamCost: (request) => costOf(app, endpoint, request),
    },
    schema: { body: schema },
    preValidation: (request, _reply, next) => {
      if (request.body) {
        request.body = laxBody(schema, request.body, { form: request.rawBody === undefined })
        checkRequired(endpoint, request.body)
      }
      next()
    },
    onSend: (request, _reply, payload, next) => {
      const { error } = request.exchange
      if (error instanceof MissingArguments && typeof payload === 'string') {
        next(null, JSON.stringify({ ...JSON.parse(payload), body: error.legacyBody }))
      } else next(null, payload)
    },
    handler: (request, reply) => answer(app, endpoint, request, reply),
  })
}

async function answer(
  app: FastifyInstance,
  endpoint: TextEndpoint,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { exchange } = request
  const body = request.body as SharedBody & Record<string, unknown> // validated by the route's schema
  const alias = modelNameOf(body)
  const model = app.rights.models(request).find(alias)
  if (!model) throw modelNotFound(alias.slice(0, 256))
  exchange.dialect = 'openai'
  exchange.requestedName = alias
  exchange.model = model.alias
  exchange.stream = body.stream === true
  reply.header('vary', 'accept')
  const run: TextRun = {
    app,
    request,
    reply,
    body,
    model,
    sampling: samplingOf(body),
    defaults: cappedDefaults(endpoint, request),
    system: renderSystem(app.prompts, endpoint.system(body), body.language),
    wantsLines: request.headers.accept?.includes('application/x-ndjson') ?? false,
  }
  return 'texts' in endpoint ? answerEach(endpoint, run) : answerOne(endpoint, run)
}

/** Caps the router's default `max_tokens` at the key's limit. */
function cappedDefaults(endpoint: TextEndpoint, { client }: FastifyRequest): (target: Target) => Sampling {
  const defaults = defaultsOf(endpoint)
  const most = client?.maxTokens
  if (most === undefined) return defaults
  return (target) => {
    const sampling = defaults(target)
    const { maxTokens } = sampling
    return maxTokens === undefined ? sampling : { ...sampling, maxTokens: Math.min(maxTokens, most) }
  }
}

/** Undefined for an invalid request; its handler reports the error. */
function costOf(
  app: FastifyInstance,
  endpoint: TextEndpoint,
  request: FastifyRequest,
): UpstreamCost | undefined {
  const body = request.body as SharedBody & Record<string, unknown> // validated by the route's schema
  const model = app.rights.models(request).find(modelNameOf(body))
  if (!model) return undefined
  const defaults = cappedDefaults(endpoint, request)
  const bounds = model.targets.map((target) => defaults(target).maxTokens ?? Number.POSITIVE_INFINITY)
  try {
    const system = renderSystem(app.prompts, endpoint.system(body), body.language)
    const texts = 'texts' in endpoint ? endpoint.texts(body) : [endpoint.text(body, system.language)]
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    const history = 'texts' in endpoint ? 0 : request.exchange.receivedBytes
    return {
      requests: Math.max(1, texts.length),
      atOnce: Math.max(1, Math.min(app.config.fanout, texts.length)),
      promptBytes: Math.max(bytes, history) + texts.length * Buffer.byteLength(system.text),
      maxTokens: Math.max(0, ...bounds),
    }
  } catch {
    return undefined
  }
}
