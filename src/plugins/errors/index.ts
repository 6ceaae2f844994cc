import { type IncomingHttpHeaders, type IncomingMessage, STATUS_CODES } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isObject } from '../../lib/json/read.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { asRouterError, type ErrorKind, isPermanent, RouterError } from '../../sdk/errors.ts'
import { withoutBasePath } from '../base-path.ts'
import { validationError } from '../validation.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Name of the dialect in which a request is told of an error, before anything of it is read too. */
    errorDialectOf(request: FastifyRequest): string
  }
  interface FastifyContextConfig {
    /** Where two dialects share a path: the one that a request's headers tell, else undefined. */
    dialectOf?: (headers: IncomingHttpHeaders) => string | undefined
  }
  interface FastifyRequest {
    /** The dialect of the errors, where the body tells and not the route. */
    errorDialect: string | undefined
  }
}

/** The one place where an error becomes an answer, in the dialect that the caller speaks. */
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
      noRoute(app.adminPort.isUsedBy(request.raw) ? adminMethods : methods, request, reply)

    app.setErrorHandler((thrown, request, reply) => {
      const error = fromFastify(thrown, request, reply)
      if (error.kind === 'internal') {
        request.log.error({ ...request.exchange.logIds, ...describeBug(thrown) }, 'internal error')
      }
      return sendError(app, error, request, reply)
    })

    // The body of a request that no route takes is not read.
    app.addHook('preParsing', (request, reply, _payload, next) => {
      next(request.is404 ? refused(request, reply) : null)
    })
    app.setNotFoundHandler((request, reply) => sendError(app, refused(request, reply), request, reply))
    done()
  },
  { name: 'errors', dependencies: ['config', 'registries', 'exchange', 'admin-port'] },
)

/** Methods by the pattern of their route. */
type RouteMethods = Map<string, Set<string>>

function noRoute(methods: RouteMethods, request: FastifyRequest, reply: FastifyReply): RouterError {
  const allowed = methodsOf(methods, pathOf(request))
  if (allowed === undefined) return new RouterError('not_found', 'Unknown path', { code: 'not_found' })
  const list = [...allowed].join(', ')
  reply.header('allow', list)
  return new RouterError('method_not_allowed', `This path answers ${list}`, { code: 'method_not_allowed' })
}

function sendError(
  app: FastifyInstance,
  error: RouterError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const path = pathOf(request)
  const dialect = dialectOf(app, request, path)
  request.exchange.error = error
  request.exchange.dialect ??= dialect.name
  const { retryAfterSeconds } = error
  const shouldRetry = error.shouldRetry ?? (isPermanent(error) ? false : undefined)
  if (retryAfterSeconds !== undefined) {
    reply.header('retry-after', Math.ceil(retryAfterSeconds))
    if (!Number.isInteger(retryAfterSeconds))
      reply.header('retry-after-ms', Math.round(retryAfterSeconds * 1000))
  }
  if (shouldRetry !== undefined) reply.header('x-should-retry', String(shouldRetry))
  if (hasUnreadBody(request.raw)) reply.header('connection', 'close')
  const options = { ownPath: !path.startsWith('/v1/'), debug: app.config.inDebug, requestId: request.id }
  return reply
    .code(dialect.errorStatus(error))
    .type('application/json')
    .send(JSON.stringify(dialect.writeError(error, options)))
}

/** No request can follow on the connection before the rest of this one is read, and nobody reads what is refused. */
function hasUnreadBody({ headers, complete }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  return hasBody && !complete
}

/** The route knows its dialect; an unknown path is answered in the one that it looks like. */
function dialectOf(app: FastifyInstance, request: FastifyRequest, path: string): Dialect {
  const { config } = request.routeOptions
  const named = request.errorDialect ?? config.dialectOf?.(request.headers)
  return app.dialects.get(named ?? dialectOfRoute(config, path, app.config.endpointPrefix))
}

function methodsOf(methods: RouteMethods, path: string): Set<string> | undefined {
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  const exact = methods.get(trimmed)
  if (exact) return exact
  for (const [url, known] of methods) {
    if (url.endsWith('/*') && trimmed.startsWith(url.slice(0, -1))) return known
  }
  return undefined
}

/** As the client wrote it, without query and base path. */
function pathOf({ originalUrl, server }: FastifyRequest): string {
  const target = withoutBasePath(originalUrl, server.config.basePath)
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}

/** Fastify's own errors in our words. Its texts can quote what a client sent. */
function fromFastify(thrown: unknown, request: FastifyRequest, reply: FastifyReply): RouterError {
  if (thrown instanceof RouterError) return thrown
  // The body broke off: there is no one left to tell.
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
 * Fastify's convention: an error may carry its status, or be sent with one. Below 500 its message is for the client; above, it
 * stays inside.
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

/** What a bug may show in the log: its kind and where it is, not its message, which can quote a prompt. */
function describeBug(thrown: unknown): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { error_name: typeof thrown }
  const frame = /([\w.-]+\/[\w.-]+\.[jt]s:\d+)/.exec(thrown.stack?.split('\n').find(isOurs) ?? '')
  return { error_name: thrown.name, error_at: frame?.[1] }
}

/** A line of a stack that is in the router or in an extension. */
function isOurs(line: string): boolean {
  return /^\s+at .*[./]/.test(line) && !/\(?node:|\/node_modules\/(?!llm-router\/)/.test(line)
}

/** The dialect of a route, as it says or as the clients speak that it is for; else the one that its path looks like. */
export function dialectOfRoute(
  { dialect, surface }: { dialect?: string | undefined; surface?: string | undefined },
  path: string,
  prefix: string,
): string {
  if (dialect !== undefined) return dialect
  if (surface === undefined || surface === 'any' || surface === 'operator') return dialectOfPath(path, prefix)
  return surface === 'text' ? 'openai' : surface
}

/** The dialect that a path looks like, where no route says it: decides the form of an error. */
export function dialectOfPath(path: string, prefix: string): 'openai' | 'anthropic' | 'gemini' | 'ollama' {
  if (path.startsWith('/v1/messages') || path.startsWith(`${prefix}/v1/messages`)) return 'anthropic'
  if (path.startsWith('/v1beta/') || path.startsWith(`${prefix}/v1beta/`)) return 'gemini'
  const isOllama = path.startsWith('/api/') || (prefix !== '' && path.startsWith(`${prefix}/`))
  return isOllama ? 'ollama' : 'openai'
}
