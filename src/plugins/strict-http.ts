import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { badRequest, RouterError } from '../sdk/errors.ts'

/** More than any client needs; every header costs time wherever headers are read. */
const maxHeaders = 256
const maxHostBytes = 255
/** A path without a route. */
const unroutablePath = '/-'

/**
 * Rejects requests that Node accepts but other servers parse differently, and closes their connection: two servers in a
 * row that disagree about a request allow request smuggling. Source: RFC 9112, sections 2.3, 3.2, 6.1, 11.2.
 */
export default fp(
  (app, _options, done) => {
    // Not onRequest: a hook that fails there would prevent later ones from counting the request.
    app.addHook('preParsing', (request, reply, _payload, next) => {
      const error = errorOf(request)
      if (error) reply.header('connection', 'close')
      if (error?.kind === 'method_not_allowed') reply.header('allow', 'GET, HEAD, POST')
      next(error ?? null)
    })
    done()
  },
  { name: 'strict-http', dependencies: ['exchange'] },
)

/**
 * Request target for routing. Fastify's router would extract the path of an absolute-form target, and reply by itself
 * to one that it cannot decode. Such targets are mapped to a path without a route, and the request is rejected as
 * above.
 */
export function routableTarget(request: { url?: string | undefined }): string {
  const target = request.url ?? ''
  return isOriginForm(target) ? target : unroutablePath
}

function errorOf({ raw, originalUrl }: FastifyRequest): RouterError | undefined {
  return (
    versionError(raw) ??
    headersError(raw) ??
    hostError(raw) ??
    (raw.url === originalUrl || isOriginForm(originalUrl)
      ? undefined
      : badRequest('The path is not valid')) ??
    methodError(raw) ??
    codingError(raw) ??
    expectError(raw)
  )
}

function versionError({ httpVersion }: IncomingMessage): RouterError | undefined {
  if (httpVersion === '1.1' || httpVersion === '1.0') return undefined
  return new RouterError('bad_request', 'Only HTTP/1.1 and HTTP/1.0 are supported', { status: 505 })
}

function headersError({ rawHeaders }: IncomingMessage): RouterError | undefined {
  if (rawHeaders.length <= maxHeaders * 2) return undefined
  return new RouterError('bad_request', `The request has more than ${maxHeaders} headers`, { status: 431 })
}

/** Host name or address with a port: RFC 3986, section 3.2.2, without user information. */
const authority = /^(?:[\w.~!$&'()*+,;=%-]+|\[[\da-f:.]+\])(?::\d{0,5})?$/i

function hostError(request: IncomingMessage): RouterError | undefined {
  const { host } = request.headers
  if (host === undefined) {
    return request.httpVersion === '1.0' ? undefined : badRequest('The request has no Host header')
  }
  if (occurrencesOf(request, 'host') > 1) return badRequest('The request has more than one Host header')
  const isValid = host.length <= maxHostBytes && authority.test(host)
  return isValid ? undefined : badRequest('The Host header is not valid')
}

/** Whether the target is a decodable path of visible ASCII. RFC 9112, section 3.2.1. */
function isOriginForm(target: string): boolean {
  if (!/^\/[!-"$-~]*$/.test(target)) return false
  if (!target.includes('%')) return true
  try {
    decodeURIComponent(target.split('?', 1)[0] ?? '')
    return true
  } catch {
    return false
  }
}

function methodError({ method }: IncomingMessage): RouterError | undefined {
  if (method !== 'TRACE' && method !== 'CONNECT') return undefined
  return new RouterError('method_not_allowed', `${method} is not supported`, { code: 'method_not_allowed' })
}

function codingError(request: IncomingMessage): RouterError | undefined {
  if (request.headers['transfer-encoding'] === undefined) return undefined
  const codings = valuesOf(request, 'transfer-encoding')
  if (request.httpVersion !== '1.1') return badRequest('HTTP/1.0 does not support Transfer-Encoding')
  const isChunked = codings.length === 1 && codings[0]?.toLowerCase() === 'chunked'
  return isChunked ? undefined : badRequest("Transfer-Encoding must be 'chunked'")
}

function expectError(request: IncomingMessage): RouterError | undefined {
  if (request.headers.expect === undefined) return undefined
  const expectations = valuesOf(request, 'expect')
  if (expectations.every((value) => value.toLowerCase() === '100-continue')) return undefined
  return new RouterError('bad_request', "Expect must be '100-continue'", { status: 417 })
}

/** Number of occurrences of a header. */
function occurrencesOf({ rawHeaders }: IncomingMessage, name: string): number {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const found = rawHeaders[index] ?? ''
    if (found.length === name.length && (found === name || found.toLowerCase() === name)) count++
  }
  return count
}

/** All values of a header. `request.headers` keeps only the first value of some headers and joins others. */
function valuesOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  const values: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [found = '', value = ''] = [rawHeaders[index], rawHeaders[index + 1]]
    if (found.length === name.length && found.toLowerCase() === name) values.push(value)
  }
  return values
}
