import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import secureJson from 'secure-json-parse'
import { ChunkList } from '../../lib/bytes/chunk-list.ts'
import { type JsonScan, scanObject } from '../../lib/json/splice.ts'
import { asRouterError, badRequest, RouterError, tooLarge } from '../../sdk/errors.ts'
import { isMostlyLong, outlineOf } from './outline.ts'

/** The received body with the byte ranges of its members. Passthrough forwards these bytes. */
export interface RawBody {
  bytes: Buffer
  scan: JsonScan
  /**
   * Parses the whole body. Throws `bad_request` for invalid JSON, which goes unnoticed while only an outline has been
   * parsed.
   */
  whole(): Record<string, unknown>
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route also accepts `application/x-www-form-urlencoded`; such a body has no `rawBody`. */
    forms?: boolean
    /**
     * Whether long strings of large bodies may be truncated in `body`; the route must then read them from `rawBody`.
     */
    outline?: boolean
  }
  interface FastifyRequest {
    rawBody: RawBody | undefined
  }
}

/** No real body is nested deeper, and `JSON.stringify` fails at several thousand levels. */
const maxDepth = 128
/** No real body has more members. Each unknown one is reported, which would take seconds for a million of them. */
const maxMembers = 10_000
/** For smaller bodies, an outline is no faster than parsing everything. */
const largeBytes = 16 * 1024

/**
 * Parses request bodies: UTF-8 JSON objects only, with their bytes kept. Fastify's own parsers would drop the bytes,
 * accept scalars and arrays, and replace invalid UTF-8.
 */
export default fp(
  (app, _options, done) => {
    app.decorateRequest('rawBody')
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(/^application\/(?:[\w.-]+\+)?json(?:;|$)/i, (request, payload, next) =>
      read(request, payload, next, (bytes) =>
        isBare(request, bytes) ? undefined : parseJson(request, bytes),
      ),
    )
    // Ollama's documentation uses `curl -d` without a content type, which curl sends as a form. Ollama ignores the
    // type.
    app.addContentTypeParser('*', (request, payload, next) => {
      const { dialect, forms } = request.routeOptions.config
      read(request, payload, next, (bytes) => {
        if (dialect === 'ollama') return parseJson(request, bytes)
        if (forms && isForm(request)) return parseForm(request, bytes)
        throw unsupportedType()
      })
    })
    done()
  },
  { name: 'body', dependencies: ['config', 'exchange', 'shedding'] },
)

function read(
  request: FastifyRequest,
  payload: Readable,
  next: (error: Error | null, body?: unknown) => void,
  parse: (bytes: Buffer) => unknown,
): void {
  const { 'content-length': length, 'transfer-encoding': coding } = request.raw.headers
  const announced = coding === undefined && length !== undefined ? Number(length) : undefined
  collectBody(payload, { announced, limit: request.routeOptions.bodyLimit }, (collected) => {
    if (collected instanceof Error) return next(collected)
    request.exchange.receivedBytes = collected.length
    let body: unknown
    try {
      body = parse(collected)
    } catch (error) {
      return next(error instanceof Error ? error : asRouterError(error))
    }
    next(null, body)
  })
}

/** OpenAI's Python client sends a content type even with an empty body; so do scripts, for routes that read none. */
function isBare({ method, routeOptions }: FastifyRequest, bytes: Buffer): boolean {
  return bytes.length === 0 && (method === 'DELETE' || routeOptions.schema?.body === undefined)
}

function unsupportedType(): RouterError {
  return new RouterError(
    'unsupported_media_type',
    'The body must be JSON: set content-type to application/json',
  )
}

function parseJson(request: FastifyRequest, received: Buffer): Record<string, unknown> {
  checkEncoding(request)
  const bytes = withoutByteOrderMark(received)
  if (bytes.length === 0) throw badRequest('The request has no body')
  request.server.shedding.checkRoom(bytes)
  if (!isUtf8(bytes)) throw badRequest('The body is not valid UTF-8')
  const scan = scanObject(bytes)
  if (scan && scan.depth > maxDepth) throw badRequest(`The body is nested deeper than ${maxDepth} levels`)
  if (scan && scan.members.length > maxMembers)
    throw badRequest(`The body has more than ${maxMembers} fields`)
  const cut =
    scan && bytes.length >= largeBytes && request.routeOptions.config.outline && isMostlyLong(bytes, scan)
  const body = parse(cut ? outlineOf(bytes, scan) : bytes.toString())
  if (!scan || typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest('The body must be a JSON object')
  }
  checkRoutingKeys(scan)
  const read = body as Record<string, unknown>
  const whole = cut ? () => parse(bytes.toString()) as Record<string, unknown> : () => read
  request.rawBody = { bytes, scan, whole }
  return read
}

const routingKeys = ['model', 'model_name', 'stream']
const routingKeysInCapitals = routingKeys.map((name) => name.toUpperCase())

/**
 * The router and the upstream must read the same values. Servers written in Go (Ollama, LocalAI) match keys
 * case-insensitively and use the last duplicate. Upper case also folds the long s (U+017F), as Go does:
 * https://pkg.go.dev/encoding/json.
 */
function checkRoutingKeys({ members }: JsonScan): void {
  let found = 0
  let miswritten: string | undefined
  for (const { key } of members) {
    const index = routingIndex(key)
    const name = routingKeys[index]
    if (name === undefined) continue
    if ((found & (1 << index)) !== 0) throw badRequest(`'${name}' appears more than once in the body`, name)
    found |= 1 << index
    if (key !== name) miswritten ??= name
  }
  if (miswritten !== undefined)
    throw badRequest(`'${miswritten}' must be spelled exactly like this`, miswritten)
}

/** Index of the routing key that this key matches case-insensitively; -1 for any other key. */
function routingIndex(key: string): number {
  const { length } = key
  // This case folding never changes the length.
  if (length !== 5 && length !== 6 && length !== 10) return -1
  const exact = routingKeys.indexOf(key)
  return exact === -1 ? routingKeysInCapitals.indexOf(key.toUpperCase()) : exact
}

function isForm(request: FastifyRequest): boolean {
  return /^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')
}

/** Form fields by name, all of them strings; repeated names become a list. */
function parseForm(request: FastifyRequest, bytes: Buffer): Record<string, string | string[]> {
  checkEncoding(request)
  if (!isUtf8(bytes)) throw badRequest('The body is not valid UTF-8')
  const fields = new URLSearchParams(bytes.toString())
  if (fields.has('__proto__')) throw badRequest('The body contains a forbidden key (__proto__)')
  return Object.fromEntries(
    Array.from(new Set(fields.keys()), (name) => {
      const values = fields.getAll(name)
      return [name, values.length === 1 ? (values[0] ?? '') : values]
    }),
  )
}

function checkEncoding(request: FastifyRequest): void {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new RouterError('unsupported_media_type', 'Compressed request bodies are not supported')
  }
  const type = request.headers['content-type'] ?? ''
  if (!type.includes(';')) return
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(type)?.[1]
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new RouterError('unsupported_media_type', 'The body must be in UTF-8')
  }
}

function parse(json: string): unknown {
  try {
    return mayHoldForbidden(json)
      ? secureJson.parse(json, { protoAction: 'error', constructorAction: 'error' })
      : JSON.parse(json)
  } catch (error) {
    // The parser's message quotes the body: no part of a prompt may reach the response or the log.
    const { message } = error instanceof Error ? error : { message: '' }
    if (message.includes('forbidden prototype'))
      throw badRequest('The body contains a forbidden key (__proto__)')
    throw badRequest(`The body is not valid JSON${syntaxProblem(message)}`)
  }
}

/** Says where JSON.parse failed, as far as its message does. */
function syntaxProblem(message: string): string {
  if (message === 'Unexpected end of JSON input') return ': it ends too early'
  const [, line, column] = /\(line (\d+) column (\d+)\)$/.exec(message) ?? []
  return line === undefined ? '' : ` (line ${line}, column ${column})`
}

/** Whether the body may contain a key that reaches a prototype; such a key can be escaped. */
function mayHoldForbidden(json: string): boolean {
  return json.includes('__proto__') || json.includes('constructor') || json.includes('\\u')
}

function withoutByteOrderMark(bytes: Buffer): Buffer {
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  return marked ? bytes.subarray(3) : bytes
}

/** Smaller buffers come from Node's pool. */
const smallBytes = 4 * 1024

/**
 * Collects a body of `announced` bytes, if its header says so, and at most `limit` bytes. Each chunk is copied on
 * arrival, so that its memory is free at once and a large body never blocks the event loop longer than a small one.
 */
export function collectBody(
  payload: Readable,
  { announced, limit }: { announced: number | undefined; limit: number },
  done: (result: Buffer | Error) => void,
): void {
  if (announced !== undefined && announced > limit) {
    done(tooLarge())
    return
  }
  const known = announced === undefined ? undefined : room(announced)
  const chunks = new ChunkList()
  let received = 0
  let over = false
  const end = (result: Buffer | Error): void => {
    if (over) return
    over = true
    done(result)
  }
  const onData = (chunk: Buffer): void => {
    if (over) return
    const at = received
    received += chunk.length
    if (received > limit) end(tooLarge())
    else if (!known) chunks.add(chunk)
    else if (received <= known.length) chunk.copy(known, at)
  }
  const onEnd = (): void => {
    if (known && received !== known.length)
      end(badRequest('The length of the body does not match content-length'))
    else end(known ?? Buffer.concat(chunks.take(), received))
  }
  // The listeners stay attached: removing them costs more, and a rejected body may still emit an error, which needs a
  // handler.
  payload.on('data', onData).on('end', onEnd).on('error', end)
  payload.resume()
}

function room(bytes: number): Buffer {
  return bytes < smallBytes ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes)
}
