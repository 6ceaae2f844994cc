import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isObject } from '../../lib/json/read.ts'
import { scanObject } from '../../lib/json/splice.ts'
import { tenths } from '../../lib/numbers.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import { answerEmbedding } from '../../relay/run/embedding.ts'
import type { RelayServices } from '../../relay/services.ts'
import { asRouterError, modelNotFound, RouterError, upstreamFailed } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Model } from '../../sdk/target.ts'
import { internalClient, internalRecord } from './internal-record.ts'

declare module 'fastify' {
  interface FastifyInstance {
    internalCalls: {
      /**
       * Begins an internal call to a model for a client's request: processors do not apply, it ends with the request, and
       * its usage is recorded. `model`: an alias. `settle` must be called once; `thrown`: the error of the call.
       */
      begin(model: string, options: InternalCallOptions): InternalCall
      /** Embeddings of these texts, in order. Rejects with a RouterError. */
      embed(model: string, inputs: readonly string[], options: InternalCallOptions): Promise<Float32Array[]>
      /** Calls the listener at the end of each call. */
      onEnd(listener: (record: ExchangeRecord, bookedTo: BookedTo) => void): void
    }
  }
}

interface InternalCallOptions {
  /** The request that the call is for. */
  readonly request: FastifyRequest
  readonly operation: Operation
  /** Cancels the call only; it also ends with its request, unless it `outlives` it. */
  readonly signal?: AbortSignal
  /** The result is useful to other requests, so the call does not end with this one and is not charged to its client. */
  readonly outlives?: boolean
}

export interface InternalCall {
  readonly model: Model
  readonly services: RelayServices
  settle(thrown?: unknown): void
}

/** The client and key charged for a call; undefined: the router itself. */
export type BookedTo = { readonly client: string; readonly key: string | undefined } | undefined

/** Calls of the router to its own models: embeddings and judges. They never nest. */
export default fp(
  (app, _options, done) => {
    const listeners: ((record: ExchangeRecord, bookedTo: BookedTo) => void)[] = []
    const begin = (alias: string, options: InternalCallOptions): InternalCall => {
      const model = app.models.find(alias)
      if (!model) throw modelNotFound(alias)
      const exchange = app.exchanges.create(randomUUID())
      const services = servicesOf(app, exchange, options.request)
      const detach = follow(exchange, options, services.turn?.deadlineAt)
      exchange.dialect = 'openai'
      exchange.client = internalClient
      exchange.model = model.alias
      const bookedTo = options.outlives || !app.config.bookInternalCalls ? undefined : payer(options.request)
      const settle = (thrown?: unknown): void => {
        detach()
        exchange.end()
        const record = internalRecord(exchange, options.operation, thrown)
        for (const listener of listeners) listener(record, bookedTo)
        app.log.info(
          {
            ...options.request.exchange.logIds,
            model: model.alias,
            target: record.target,
            operation: options.operation,
            outcome: record.outcome,
            duration_ms: tenths(record.durationMs),
            prompt_tokens: record.usage?.promptTokens,
            error_code: record.error?.code,
          },
          'internal call',
        )
      }
      return { model, services, settle }
    }
    app.decorate('internalCalls', {
      begin,
      onEnd: (listener) => listeners.push(listener),
      async embed(alias, inputs, options) {
        const { model, services, settle } = begin(alias, options)
        try {
          const vectors = await embedded(app, model, inputs, services)
          settle()
          return vectors
        } catch (thrown) {
          settle(thrown)
          throw thrown
        }
      },
    })
    done()
  },
  {
    name: 'internal-calls',
    dependencies: ['config', 'exchange', 'registries', 'models', 'balancer', 'gateway'],
  },
)

/** The call ends with its request, and at its deadline, on the clock of `performance.now()`. */
function follow(
  exchange: Exchange,
  { request, signal, outlives }: InternalCallOptions,
  deadlineAt: number | undefined,
): () => void {
  const detached = new AbortController()
  const end = (own: AbortSignal) => (): void => exchange.abort(reasonOf(own))
  const deadline =
    deadlineAt === undefined
      ? undefined
      : AbortSignal.timeout(Math.max(0, Math.ceil(deadlineAt - performance.now())))
  for (const own of outlives ? [signal] : [request.exchange.signal, signal, deadline]) {
    if (own?.aborted) exchange.abort(reasonOf(own))
    else own?.addEventListener('abort', end(own), { once: true, signal: detached.signal })
  }
  return () => detached.abort()
}

function reasonOf({ reason }: AbortSignal): RouterError {
  if (reason instanceof RouterError) return reason
  // A timeout of the caller says nothing about the target.
  return new RouterError('client_gone', 'The call was cancelled', { cause: reason })
}

/** The request's relay services, without permissions, fallbacks and record. */
function servicesOf(app: FastifyInstance, exchange: Exchange, request: FastifyRequest): RelayServices {
  const { turn, priority, ...services } = app.gateway.services(request)
  return {
    ...services,
    ...(turn ? { turn } : {}),
    ...(priority ? { priority } : {}),
    exchange,
    clientHeaders: {},
    acquire: app.balancer.acquire,
    fallbacksOf: ({ fallbacks }) => fallbacks.map((name) => app.models.find(name)).filter((each) => !!each),
    signal: exchange.signal,
  }
}

function payer({ exchange }: FastifyRequest): BookedTo {
  return exchange.client === undefined ? undefined : { client: exchange.client, key: exchange.key }
}

async function embedded(
  app: FastifyInstance,
  model: Model,
  inputs: readonly string[],
  services: RelayServices,
): Promise<Float32Array[]> {
  const body = { model: model.alias, input: inputs }
  const bytes = Buffer.from(JSON.stringify(body))
  const scan = scanObject(bytes)
  if (!scan) throw new Error('a body written by the router is not an object')
  const dialect = app.dialects.get('openai')
  const request = { dialect, alias: model.alias, model, bytes, scan, body, others: [] }
  const { body: answer } = await answerEmbedding(request, services)
  const read: unknown = JSON.parse(answer.toString())
  const vectors = isObject(read) && Array.isArray(read.data) ? read.data.map(vectorOf) : []
  if (vectors.length !== inputs.length)
    throw upstreamFailed('The upstream sent another number of vectors', 'BAD_ANSWER')
  return vectors
}

function vectorOf(item: unknown): Float32Array {
  const { embedding }: Record<string, unknown> = isObject(item) ? item : {}
  if (!Array.isArray(embedding) || embedding.length === 0 || !embedding.every(Number.isFinite))
    throw asRouterError(upstreamFailed('The upstream sent an invalid vector', 'BAD_ANSWER'))
  return Float32Array.from(embedding)
}
