import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { RunningRequests } from '../../cluster/running-requests.ts'
import { describeBug } from '../../lib/describe-bug.ts'
import { droppedNames } from '../../relay/answer/answer-headers.ts'
import { Exchange } from '../../relay/exchange.ts'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import type { Step } from '../../relay/steps.ts'
import type { RequestTrace } from '../../relay/trace.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { costOf } from '../auth/request-cost.ts'
import { forwardedTrace } from '../tracing/trace-context.ts'
import { requestLog } from './request-log.ts'

declare module 'fastify' {
  interface FastifyInstance {
    exchanges: {
      /** Number of requests that have not ended. */
      readonly running: number
      /** Calls the listener exactly once per request, at its end. */
      onEnd(listener: EndListener): void
      /** Calls the listener with each step of a request as it happens; some steps end after the request. */
      onStep(listener: StepListener): void
      /** An exchange without an HTTP request; its steps are reported like those of others, its end is its owner's. */
      create(id: string): Exchange
      /** Replaces the default, which forwards a client's trace: `begin` creates the trace of each request. */
      traceWith(begin: BeginTrace): void
      /** Aborts every running request with an error in its dialect. */
      abortAll(error: RouterError): void
    }
  }
  interface FastifyRequest {
    exchange: Exchange
  }
}

interface ExchangeOptions {
  /** List of running requests that another process can read, even after this process has died. */
  running?: RunningRequests
}

type BeginTrace = (request: FastifyRequest) => RequestTrace | undefined
type EndListener = (record: ExchangeRecord, exchange: Exchange) => void
type StepListener = (step: Step, exchange: Exchange) => void

/** Gives each request its exchange and ends it when the response closes, the only event that is always emitted. */
export default fp(
  (app, { running }: ExchangeOptions, done) => {
    const listeners: EndListener[] = [requestLog(app.log)]
    const stepListeners: StepListener[] = []
    const notifyStep: StepListener = (step, exchange) => {
      for (const listener of stepListeners) listener(step, exchange)
    }
    let beginTrace: BeginTrace = ({ headers }) => forwardedTrace(headers)
    const open = new OpenExchanges()
    app.decorate('exchanges', {
      get running() {
        return open.count
      },
      onEnd: (listener) => {
        // Extensions may be plain JavaScript.
        if (typeof listener !== 'function') throw new TypeError('onEnd needs a function')
        listeners.push(listener)
      },
      onStep: (listener) => stepListeners.push(listener),
      create: (id) => new Exchange(id, notifyStep),
      traceWith: (begin) => {
        beginTrace = begin
      },
      abortAll: (error) => {
        for (const exchange of open.all()) exchange.abort(error)
      },
    })
    app.decorateRequest('exchange')
    app.addHook('onRequest', (request, reply, next) => {
      const exchange = new Exchange(request.id, notifyStep)
      exchange.showsRoute = app.config.routeHeaders
      request.exchange = exchange
      exchange.trace = beginTrace(request)
      open.add(exchange)
      if (running) publishRunning(running, exchange, request, reply)
      reply.header('x-request-id', request.id)
      reply.header('request-id', request.id)
      exchange.setDeadline(app.config.timeoutMs)
      reply.raw.on('close', () => {
        open.delete(exchange)
        exchange.close(reply.raw.writableFinished)
        const record = recordOf(exchange, request, reply)
        for (const listener of listeners) {
          try {
            listener(record, exchange)
          } catch (error) {
            // Nothing else catches what a listener of an extension throws here.
            app.log.error(
              { ...exchange.logIds, ...describeBug(error) },
              'a listener failed at the end of a request',
            )
          }
        }
      })
      next()
    })

    app.addHook('preValidation', (request, _reply, next) => {
      request.exchange.readAt = performance.now()
      next()
    })
    app.addHook('onSend', (request, _reply, _payload, next) => {
      request.exchange.answeredAt = performance.now()
      next()
    })
    done()
  },
  { name: 'exchange', dependencies: ['config'] },
)

/** Publishes the request until its response closes, so that a crash report can name it. */
function publishRunning(
  running: RunningRequests,
  exchange: Exchange,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { id } = exchange
  const startedAtMs = Date.now()
  const slot = running.begin({ id, model: undefined, bytes: bytesOf(request), startedAtMs })
  exchange.onModel = () =>
    running.update(slot, { id, model: exchange.model, bytes: bytesOf(request), startedAtMs })
  reply.raw.on('close', () => running.end(slot))
}

function bytesOf(request: FastifyRequest): number {
  return request.rawBody?.bytes.length ?? Number(request.headers['content-length'] ?? 0)
}

/** A set whose members store their own index, which is cheaper per request than a hash set. */
class OpenExchanges {
  readonly #all: Exchange[] = []

  get count(): number {
    return this.#all.length
  }

  all(): readonly Exchange[] {
    return [...this.#all]
  }

  add(exchange: Exchange): void {
    exchange.index = this.#all.push(exchange) - 1
  }

  delete({ index }: Exchange): void {
    const last = this.#all.pop()
    if (!last || last.index === index) return
    this.#all[index] = last
    last.index = index
  }
}

function recordOf(exchange: Exchange, request: FastifyRequest, reply: FastifyReply): ExchangeRecord {
  const durationMs = exchange.elapsedMs()
  const outcome = exchange.outcome(reply.raw.statusCode)
  const { url: route, config } = request.routeOptions
  return {
    id: exchange.id,
    method: request.method,
    endpoint: route ?? 'unmatched',
    status: outcome === 'client_gone' ? 499 : reply.raw.statusCode,
    outcome,
    durationMs,
    dialect: exchange.dialect,
    model: exchange.model,
    answeringModel: exchange.answeringModel,
    target: exchange.target,
    providerType: exchange.providerType,
    client: exchange.client,
    key: exchange.key,
    stream: exchange.stream,
    attempts: exchange.attempts,
    work: exchange.work,
    reason: exchange.reasons.toString() || undefined,
    ownMs: exchange.ownMs(),
    firstContentMs:
      exchange.firstContentAt === undefined ? undefined : exchange.firstContentAt - exchange.startedAt,
    usage: exchange.usage,
    estimatedTokens: () => {
      const { promptTokens, maxTokens, answers } = costOf(request)
      return { prompt: promptTokens, maxCompletion: answers === 0 ? 0 : maxTokens * answers }
    },
    sinceSentMs: exchange.sentAt === undefined ? undefined : performance.now() - exchange.sentAt,
    dropped: droppedNames(exchange.dropped),
    unknownReason: exchange.unknownReason,
    auto: exchange.auto,
    processed: exchange.processed,
    cache: exchange.cache,
    error: exchange.error,
    requestBytes: bytesOf(request),
    responseBytes: exchange.bodyBytes || Number(reply.getHeader('content-length') ?? 0),
    trace: exchange.trace,
    operation: config.docs ? config.docs.operations?.[0] : undefined,
  }
}
