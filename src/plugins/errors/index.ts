import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { describeBug } from '../../lib/describe-bug.ts'
import { nearNames } from '../../lib/did-you-mean.ts'
import { acceptsHtml } from '../../lib/html-pages.ts'
import { isObject } from '../../lib/json/read.ts'
import { STATUS_CODES } from '../../lib/status-codes.ts'
import { routeHeaders } from '../../relay/answer/answer-headers.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { asRouterError, type ErrorKind, isPermanent, RouterError } from '../../sdk/errors.ts'
import { withoutBasePath } from '../base-path.ts'
import type { ConsolePage } from '../console/index.ts'
import { validationError } from '../validation.ts'
import { noRoute, type RouteMethods } from './no-route.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Name of the dialect for a request's errors; works before the request is parsed. */
    errorDialectOf(request: FastifyRequest): string
  }
  interface FastifyContextConfig {
    /** For paths that two dialects share: the dialect that the headers indicate, or undefined. */
    dialectOf?: (headers: IncomingHttpHeaders) => string | undefined
  }
  interface FastifyRequest {
    /** Dialect of the errors, if it is determined by the body and not the route. */
    errorDialect: string | undefined
  }
}

/** Converts every error to a response in the client's dialect. */
export default fp(
  (app, _options, done) => {
    app.decorateRequest('errorDialect')
    app.decorate('errorDialectOf', (request) => dialectOf(app, request, pathOf(request)).name)
    const methods: RouteMethods = new Map()
    const adminMethods: RouteMethods = new Map()
    app.addHook('onRoute', ({ url, method, constraints }) => {
      const there = constraints?.listener === 'admin' ? adminMethods : methods
      const known = there.get(url) ?? new Set<string>()
      for (const name of [method].flat()) known.add(name)
      there.set(url, known)
    })
    const refused = (request: FastifyRequest, reply: FastifyReply): RouterError =>
      noRoute(pathOf(request), app.adminPort.isUsedBy(request.raw) ? adminMethods : methods, reply)

    app.setErrorHandler((thrown, request, reply) => {
      const error = fromFastify(thrown, request, reply)
      if (error.kind === 'internal') {
        request.log.error({ ...request.exchange.logIds, ...describeBug(bugIn(thrown)) }, 'internal error')
      }
      return sendError(app, error, request, reply)
    })

    // A stream that a route sends fails when its status has already gone out: the response can only be cut.
    app.addHook('onSend', (request, _reply, payload, next) => {
      if (payload instanceof Readable)
        payload.once('error', (thrown) => {
          request.log.error(
            { ...request.exchange.logIds, ...describeBug(thrown) },
            'a streamed response failed',
          )
          request.exchange.markTruncated(asRouterError(thrown))
        })
      next()
    })

    // Do not read the body of a request without a route.
    app.addHook('preParsing', (request, reply, _payload, next) => {
      next(request.is404 ? refused(request, reply) : null)
    })
    app.setNotFoundHandler((request, reply) => sendError(app, refused(request, reply), request, reply))
    done()
  },
  { name: 'errors', dependencies: ['config', 'registries', 'exchange', 'admin-port'] },
)

/** What was thrown first: an error for the client may wrap it. */
function bugIn(thrown: unknown): unknown {
  return thrown instanceof RouterError ? (thrown.cause ?? thrown) : thrown
}

function sendError(
  app: FastifyInstance,
  thrown: RouterError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const path = pathOf(request)
  const dialect = dialectOf(app, request, path)
  request.exchange.error = thrown
  request.exchange.dialect ??= dialect.name
  const error =
    thrown.unknownModel === undefined
      ? request.exchange.forClient(thrown)
      : withNearModels(app, thrown, request)
  const { retryAfterSeconds } = error
  const shouldRetry = error.shouldRetry ?? (isPermanent(error) ? false : undefined)
  if (retryAfterSeconds !== undefined) {
    reply.header('retry-after', Math.ceil(retryAfterSeconds))
    if (!Number.isInteger(retryAfterSeconds))
      reply.header('retry-after-ms', Math.round(retryAfterSeconds * 1000))
  }
  reply.headers(routeHeaders(request.exchange))
  if (shouldRetry !== undefined) reply.header('x-should-retry', String(shouldRetry))
  if (hasUnreadBody(request.raw)) reply.header('connection', 'close')
  const page = error.kind === 'auth' ? app.signInPage(request) : notFoundPage(app, error, request, path)
  if (page !== undefined) {
    reply.headers({ ...page.headers, 'cache-control': 'no-store', vary: 'accept' })
    return reply.code(error.status).type('text/html; charset=utf-8').send(page.html)
  }
  if (request.routeOptions.config.errors === 'problem') return sendProblem(error, reply)
  const options = { ownPath: !path.startsWith('/v1/'), debug: app.config.inDebug, requestId: request.id }
  return reply
    .code(dialect.errorStatus(error))
    .type('application/json')
    .send(JSON.stringify(dialect.writeError(error, options)))
}

const maxNearModels = 3
/** Maximum number of models to search for similar names, because the comparison must be fast. */
const maxCompared = 1_000

/** Suggests similar models and gives the number of models, excluding those hidden from the client. */
function withNearModels(
  { rights }: FastifyInstance,
  { message, unknownModel = '' }: RouterError,
  request: FastifyRequest,
): RouterError {
  const names = rights
    .models(request)
    .listed()
    .map(({ alias }) => alias)
  const near = nearNames(unknownModel, names.slice(0, maxCompared), maxNearModels)
  const hint = near.length === 0 ? '' : `; did you mean ${near.map((name) => `'${name}'`).join(' or ')}?`
  const lists =
    names.length === 0
      ? 'Your key may not use any model'
      : `GET /v1/models lists the ${names.length === 1 ? 'model' : `${names.length} models`} you can use`
  return new RouterError('model_not_found', `${message}${hint || '.'} ${lists}`, {
    code: 'model_not_found',
    param: 'model',
  })
}

/** The page that a browser gets for an unknown path. */
function notFoundPage(
  { console }: FastifyInstance,
  { kind }: RouterError,
  { method, headers }: FastifyRequest,
  path: string,
): ConsolePage | undefined {
  const isPage = kind === 'not_found' && method === 'GET' && acceptsHtml(headers.accept)
  return isPage ? console?.page('not-found.html', path) : undefined
}

/** RFC 9457, "Problem Details for HTTP APIs"; `code` and `param` as in the other forms. */
function sendProblem({ status, message, code, param }: RouterError, reply: FastifyReply): FastifyReply {
  const problem = { type: 'about:blank', title: STATUS_CODES[status], status, detail: message, code, param }
  return reply.code(status).type('application/problem+json').send(JSON.stringify(problem))
}

/** The connection cannot be reused until the rest of the body is read, and a rejected body never is. */
function hasUnreadBody({ headers, complete }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  return hasBody && !complete
}

/** Uses the route's dialect; for an unknown path, the dialect that the path resembles. */
function dialectOf(app: FastifyInstance, request: FastifyRequest, path: string): Dialect {
  const { config } = request.routeOptions
  const named = request.errorDialect ?? config.dialectOf?.(request.headers)
  return app.dialects.get(named ?? dialectOfRoute(config, path, app.config.endpointPrefix))
}

/** Path as sent by the client, without query and base path. */
function pathOf({ originalUrl, server }: FastifyRequest): string {
  const target = withoutBasePath(originalUrl, server.config.basePath)
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}

/** Maps Fastify's errors to the router's. Their messages can quote what a client sent. */
function fromFastify(thrown: unknown, request: FastifyRequest, reply: FastifyReply): RouterError {
  if (thrown instanceof RouterError) return thrown
  // The body was interrupted, so the client is gone.
  if (request.raw.errored !== null) return new RouterError('client_gone', 'The client closed the connection')
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_INVALID_CONTENT_TYPE':
      return new RouterError(
        'unsupported_media_type',
        'The body must be JSON: set content-type to application/json',
      )
    case 'FST_ERR_VALIDATION':
      return validationError(thrown) ?? new RouterError('bad_request', 'The request is not valid')
    case 'ECONNRESET':
      return new RouterError('client_gone', 'The client closed the connection')
  }
  return withStatus(thrown, reply) ?? asRouterError(thrown)
}

/**
 * Fastify's convention: an error may carry a status code, or be sent with one. Its message reaches the client for 4xx
 * only.
 */
function withStatus(thrown: unknown, { statusCode: sentWith }: FastifyReply): RouterError | undefined {
  if (!isObject(thrown)) return undefined
  const { statusCode, status: otherName, message, code } = thrown
  const status = [statusCode, otherName, sentWith].find(isErrorStatus)
  if (status === undefined) return undefined
  if (status >= 500) {
    const words = STATUS_CODES[status] ?? 'Internal error'
    return new RouterError('internal', status === 500 ? 'Internal error' : words, {
      status,
      code: 'internal_error',
      cause: thrown,
    })
  }
  const kind = kindOfStatus[status] ?? 'bad_request'
  // Fastify's own messages may quote what a client sent.
  const isFastifys = typeof code === 'string' && code.startsWith('FST_')
  const text = isFastifys || typeof message !== 'string' || message === '' ? STATUS_CODES[status] : message
  return new RouterError(kind, text ?? 'The request is not valid', {
    status,
    cause: thrown,
    ...(typeof code === 'string' && !isFastifys ? { code } : {}),
  })
}

function isErrorStatus(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 400 && value <= 599
}

const kindOfStatus: Readonly<Record<number, ErrorKind>> = {
  401: 'auth',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  409: 'conflict',
  413: 'too_large',
  415: 'unsupported_media_type',
  422: 'unprocessable',
  429: 'rate_limit',
}

/** Dialect of a route: the declared one, else the one of its surface, else the one that its path resembles. */
export function dialectOfRoute(
  { dialect, surface }: { dialect?: string | undefined; surface?: string | undefined },
  path: string,
  prefix: string,
): string {
  if (dialect !== undefined) return dialect
  if (surface === undefined || surface === 'any' || surface === 'operator') return dialectOfPath(path, prefix)
  return surface === 'text' ? 'openai' : surface
}

/** Dialect that a path resembles; decides the error format where no route declares it. */
export function dialectOfPath(path: string, prefix: string): 'openai' | 'anthropic' | 'gemini' | 'ollama' {
  if (path.startsWith('/v1/messages') || path.startsWith(`${prefix}/v1/messages`)) return 'anthropic'
  if (path.startsWith('/v1beta/') || path.startsWith(`${prefix}/v1beta/`)) return 'gemini'
  const isOllama = path.startsWith('/api/') || (prefix !== '' && path.startsWith(`${prefix}/`))
  return isOllama ? 'ollama' : 'openai'
}
