import {
  brotliDecompressSync,
  constants,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from 'node:zlib'
import { isObject, type JsonObject, objectsIn, parseObject } from '../../lib/json/read.ts'
import type { UpstreamHeaders } from '../../sdk/transport.ts'

/** Maximum decompressed size of an error response in bytes; its message is at the beginning. */
const maxTextBytes = 256 * 1024
const bounds = { maxOutputLength: maxTextBytes }
/** Decompresses the available beginning of a truncated body. */
const truncatedInput = { ...bounds, finishFlush: constants.Z_SYNC_FLUSH }

/**
 * The text of an error response. Servers and proxies may compress it without being asked (RFC 9110
 * section 8.4.1). Undefined if it is not text, which no client can use.
 */
export function errorText(bytes: Buffer, headers: UpstreamHeaders): string | undefined {
  const codings = String(headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  // More than two layers are an attack or a mistake.
  if (codings.length > 2) return undefined
  try {
    const plain = codings.toReversed().reduce(decoded, bytes)
    return isText(plain) ? plain.toString() : undefined
  } catch {
    return undefined // does not match the header, or too large
  }
}

/** Throws for an unknown coding, for broken data, and for more than {@link maxTextBytes}. */
function decoded(bytes: Buffer, coding: string): Buffer {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return gunzipSync(bytes, truncatedInput)
    case 'deflate':
      // The standard requires zlib's wrapper, but it is often omitted.
      return isWrapped(bytes) ? inflateSync(bytes, truncatedInput) : inflateRawSync(bytes, truncatedInput)
    case 'br':
      return brotliDecompressSync(bytes, { ...bounds, finishFlush: constants.BROTLI_OPERATION_FLUSH })
    case 'zstd':
      return zstdDecompressSync(bytes, { ...bounds, finishFlush: constants.ZSTD_e_flush })
    default:
      throw new TypeError('unknown content coding')
  }
}

/** RFC 1950: the method is deflate, and the first two bytes are a multiple of 31. */
function isWrapped(bytes: Buffer): boolean {
  const [first = 0, second = 0] = bytes
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0
}

/** Compressed or encrypted bytes are almost never valid UTF-8; the last character may be truncated. */
function isText(bytes: Buffer): boolean {
  const text = bytes.subarray(0, 4_096).toString()
  const broken = text.indexOf('\ufffd')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  return (broken === -1 || broken >= text.length - 3) && !/[\u0000-\u0008\u000e-\u001a]/.test(text)
}

/** Contents of an error body. */
export interface ErrorBody {
  message: string | undefined
  code: string | undefined
  /** Path of the invalid field. */
  param: string | undefined
  /** Google's wait before a retry, as a duration such as `36.2s`. */
  retryDelay?: string
}

const noContents: ErrorBody = { message: undefined, code: undefined, param: undefined }

/**
 * Reads the known forms of error bodies: OpenAI's object, a string, vLLM's older top level, FastAPI's detail, the list of
 * Gemini's OpenAI endpoint. An HTML page of a proxy contains nothing useful.
 */
export function readErrorBody(body: string): ErrorBody {
  const text = body.replace(/^\ufeff/, '')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return errorBody(text, undefined)
  }
  return readErrorValue(value, maxDepth)
}

/** Gateways wrap errors that they forward, once or twice. */
const maxDepth = 6

function readErrorValue(value: unknown, depth: number): ErrorBody {
  if (depth === 0) return noContents
  const read = (inner: unknown): ErrorBody => readErrorValue(inner, depth - 1)
  if (typeof value === 'string') return errorBody(value, undefined)
  if (Array.isArray(value)) return read(value[0])
  if (!isObject(value)) return noContents
  const { error, errors, detail } = value
  if (typeof error === 'string') {
    // Ollama forwards its engine's error as JSON inside the string.
    const inner = jsonIn(error)
    return inner ? read(inner) : errorBody(error, codeOf(value))
  }
  if (isObject(error)) {
    const inner =
      jsonIn(error.message) ?? (error.message === undefined && isObject(error.error) ? error : undefined)
    const quoted = inner && read(inner)
    if (quoted?.message !== undefined) return quoted
    return {
      ...errorBody(error.message, codeOf(error) ?? textOf(error.type), error.param),
      ...retryDelayIn(error.details),
    }
  }
  if (Array.isArray(error)) return read(error[0])
  if (typeof detail === 'string') return errorBody(detail, undefined)
  if (Array.isArray(detail)) {
    const [first] = objectsIn(detail)
    return errorBody(first?.msg, undefined, pathOf(first?.loc))
  }
  if (isObject(detail)) return read(detail)
  if (Array.isArray(errors) && value.message === undefined) return read(errors[0])
  return errorBody(value.message ?? value.msg, codeOf(value), value.param)
}

/** Parses a string that contains a JSON object. */
function jsonIn(text: unknown): JsonObject | undefined {
  return typeof text === 'string' && text.startsWith('{') ? parseObject(text) : undefined
}

function errorBody(message: unknown, code: string | undefined, param?: unknown): ErrorBody {
  const text = textOf(message)
  const isMarkup = text !== undefined && /^\s*<(?:!doctype|html|head|body|\?xml|\w+>)/i.test(text)
  const isMessage = text !== undefined && text.trim() !== '' && !isMarkup
  return { message: isMessage ? text : undefined, code, param: paramOf(param) }
}

function codeOf({ code }: Record<string, unknown>): string | undefined {
  return textOf(code)
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' ? String(value) : undefined
}

/** Gemini reports the wait of a 429 in the body only. Source: google.rpc.error_details, `RetryInfo`. */
function retryDelayIn(details: unknown): { retryDelay?: string } {
  const info = objectsIn(details).find((detail) => textOf(detail['@type'])?.endsWith('google.rpc.RetryInfo'))
  const retryDelay = textOf(info?.retryDelay)
  return retryDelay === undefined ? {} : { retryDelay }
}

/** Accepts only a field path, because it is sent to the client. */
function paramOf(param: unknown): string | undefined {
  return typeof param === 'string' && /^[A-Za-z_][\w.[\]-]{0,127}$/.test(param) ? param : undefined
}

/** FastAPI's `loc`: `["body", "messages", 0, "content"]`. */
function pathOf(loc: unknown): string | undefined {
  if (!Array.isArray(loc)) return undefined
  const [, ...steps]: unknown[] = loc
  return steps
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .slice(1)
}
