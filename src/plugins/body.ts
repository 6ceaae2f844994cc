import { isUtf8 } from 'node:buffer'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import secureJson from 'secure-json-parse'
import { badRequest, RouterError } from '../core/errors.ts'
import { type JsonScan, scanObject } from '../core/json-splice.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came, with the places of its members; the identity lane forwards these bytes. */
    rawBody: { bytes: Buffer; scan: JsonScan } | undefined
  }
}

/** Deeper bodies serve no one: and `JSON.stringify` gives up at some thousand levels. */
const maxDepth = 128

/**
 * Reads request bodies: JSON objects only, in UTF-8, with their bytes kept. Fastify's own parsers would drop the bytes,
 * take scalars and lists, and turn broken UTF-8 into other text.
 */
export default fp(
  (app, _options, done) => {
    app.decorateRequest('rawBody')
    app.removeAllContentTypeParsers()
    const options = { parseAs: 'buffer', bodyLimit: app.config.bodyLimitBytes } as const
    app.addContentTypeParser<Buffer>(/^application\/(?:[\w.-]+\+)?json\b/i, options, (request, bytes, next) =>
      next(null, parseJson(request, bytes)),
    )
    // Ollama's own examples use curl -d without a content type, which curl calls a form; Ollama never looks.
    app.addContentTypeParser<Buffer>('*', options, (request, bytes, next) => {
      if (request.routeOptions.config.dialect === 'ollama') next(null, parseJson(request, bytes))
      else next(unsupportedType())
    })
    done()
  },
  { name: 'body', dependencies: ['config'] },
)

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
  if (!isUtf8(bytes)) throw badRequest('The body is not valid UTF-8')
  const scan = scanObject(bytes)
  if (scan && scan.depth > maxDepth) throw badRequest(`The body is nested deeper than ${maxDepth} levels`)
  const body = parse(bytes)
  if (!scan || typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw badRequest('The body must be a JSON object')
  }
  for (const name of ['model', 'model_name', 'stream']) {
    if (scan.members.filter(({ key }) => key === name).length > 1) {
      throw badRequest(`'${name}' stands more than once in the body`, name)
    }
  }
  request.rawBody = { bytes, scan }
  return body as Record<string, unknown>
}

function checkEncoding(request: FastifyRequest): void {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new RouterError('unsupported_media_type', 'Compressed request bodies are not supported')
  }
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(request.headers['content-type'] ?? '')?.[1]
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new RouterError('unsupported_media_type', 'The body must be in UTF-8')
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return secureJson.parse(bytes.toString(), { protoAction: 'error', constructorAction: 'error' })
  } catch (error) {
    // The parser's own text quotes the body: a prompt must not come back, nor reach a log.
    const isPrototype = error instanceof Error && error.message.includes('forbidden prototype')
    throw badRequest(
      isPrototype ? 'The body holds a forbidden key (__proto__)' : 'The body is not valid JSON',
    )
  }
}

function withoutByteOrderMark(bytes: Buffer): Buffer {
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  return marked ? bytes.subarray(3) : bytes
}
