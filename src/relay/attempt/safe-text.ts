import { isObject } from '../../lib/json/read.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { UpstreamRequest } from '../../sdk/transport.ts'
import { replaceName } from '../replace-name.ts'

const maxLength = 512
/** Maximum length examined: the time of some patterns is quadratic. */
const maxExamined = 1_024

/**
 * An upstream's error text, if clients may see it: no address, no path, no key. The upstream's model name
 * is first replaced by the alias. Undefined if in doubt; the caller then uses its own text.
 */
export function safeUpstreamText(text: string | undefined, target: Target): string | undefined {
  if (text === undefined) return undefined
  let safe = text
    .slice(0, maxExamined)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the purpose
    .replace(/\u001b\[[0-9;]*[A-Za-z]|[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim()
  safe = replaceName(safe, target.upstreamModel, target.model)
  if (safe === '' || leaks(safe, target)) return undefined
  return safe.length > maxLength ? `${safe.slice(0, maxLength)}...` : safe
}

const leakPatterns: readonly RegExp[] = [
  /\b[a-z][a-z0-9+.-]{1,15}:\/\//i, // any URL
  /\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b/, // IPv4
  /(?:[0-9a-f]{1,4}:){3,}|::[0-9a-f]{1,4}\b|\[[0-9a-f:]+\]/i, // IPv6
  /\blocalhost\b/i,
  /\b[a-z0-9-]+(?:\.[a-z0-9-]+)*:\d{2,5}\b/i, // host:port
  /\b[a-z0-9-]+\.(?:internal|local|lan|svc|cluster|intranet|corp)\b/i,
  /(?:^|[\s"'(=])(?:~|\.{1,2})?\/[\w.-]+\/[\w./-]+/, // POSIX path
  /\b[a-z]:\\|\\\\[a-z0-9]/i, // Windows path
  /\b(?:sk|pk|hf|gsk|xai|ghp|key|token)[-_][a-z0-9_-]{6,}/i, // keys by their usual prefixes
  /\b(?:bearer|basic)\s+[a-z0-9._~+/=-]{6,}/i,
  /\beyJ[\w-]{8,}\./, // JSON web token
  /\b[a-f0-9]{32,}\b/i,
  /Traceback|\bat .+:\d+:\d+/, // stack traces
]

function leaks(text: string, target: Target): boolean {
  if (target.token !== undefined && target.token !== '' && text.includes(target.token)) return true
  const host = target.origin.replace(/^[a-z]+:\/\//, '').replace(/:\d+$/, '')
  if (host !== '' && text.includes(host)) return true
  return leakPatterns.some((pattern) => pattern.test(text))
}

const maxLoggedLength = 300
/** For errors that dialects read in a response or stream. */
const reportedCode = 'UPSTREAM_ERROR'

/**
 * Keeps an upstream's text for the log, for a 5xx or an equivalent error with status 200 or in a stream, while the
 * client gets the router's own message: the log must say why a server fails. Omitted if it contains an address, a path or a
 * key, or repeats part of the request.
 */
export function noteUpstreamText(
  error: RouterError,
  target: Target,
  { body }: Pick<UpstreamRequest, 'body'>,
): void {
  const reported = isServerSide(error) ? serverErrorIn(error) : undefined
  const text = safeUpstreamText(reported, target)?.slice(0, maxLoggedLength)
  if (text !== undefined && !repeatsRequest(text, body)) error.upstreamText = text
}

/** Other errors reach the client in the upstream's words: they are caused by the request and need no operator. */
function isServerSide({ kind }: RouterError): boolean {
  return kind === 'upstream_error' || kind === 'upstream_timeout' || kind === 'overloaded'
}

function serverErrorIn({ cause, causeCode }: RouterError): string | undefined {
  if (!isObject(cause) || typeof cause.message !== 'string') return undefined
  const status = causeCode === reportedCode ? cause.code : cause.status
  return typeof status === 'number' && status >= 500 ? cause.message : undefined
}

/** A common run of this many characters repeats the request; shorter ones occur in any text. */
const echoLength = 20
/** Any 20 consecutive characters contain one aligned block of this length. */
const blockLength = echoLength / 2
/** Longer requests are not searched for a log line, in bytes. */
const maxBodyBytes = 8 * 1024 * 1024
/** Number of characters searched. */
const maxSearched = 1024 * 1024
/** A string of this length without spaces is an image or audio; text repeating part of it has no spaces there either. */
const dataLength = 4_096
const dataHead = 1_024
/** Limit for requests that repeat one word, which match everywhere. */
const maxLooks = 10_000

/**
 * Whether a one-line text repeats 20 or more characters of the request body. Undecidable cases count as yes:
 * the body is not in memory, not JSON, or too large. The model name does not count.
 */
function repeatsRequest(text: string, body: UpstreamRequest['body']): boolean {
  if (text.length < echoLength) return false
  const request = readBody(body)
  if (request === undefined) return true
  const blocks: number[] = []
  for (let at = 0; at + blockLength <= text.length; at += blockLength) blocks.push(at)
  let searched = 0
  for (const string of stringsIn(request.value)) {
    if (string.length < echoLength) continue
    if (isData(string)) {
      if (/\S{20}/.test(text)) return true
      continue
    }
    searched += string.length
    if (searched > maxSearched || repeats(text, blocks, oneLine(string))) return true
  }
  // An upstream may also quote the JSON itself.
  return request.json.length <= maxSearched && repeats(text, blocks, oneLine(request.json))
}

function readBody(body: UpstreamRequest['body']): { value: unknown; json: string } | undefined {
  const pieces = Buffer.isBuffer(body) ? [body] : body
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
  if (bytes === 0 || bytes > maxBodyBytes) return undefined
  try {
    const json = Buffer.concat(pieces).toString()
    const { model: _name, ...value }: Record<string, unknown> = Object(JSON.parse(json))
    return { value, json: withoutModel(json) }
  } catch {
    return undefined // no JSON: undecided
  }
}

/** The quoted model name in both texts is not an echo. */
function withoutModel(json: string): string {
  return json.replace(/"model"\s*:\s*"(?:[^"\\]|\\.)*"/g, '')
}

function* stringsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'object' && value !== null)
    for (const [key, member] of Object.entries(value)) {
      yield key
      yield* stringsIn(member)
    }
}

function isData(string: string): boolean {
  return string.length >= dataLength && !/\s/.test(string.slice(0, dataHead))
}

/** Normalized as by {@link safeUpstreamText}. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: replacing them is the purpose
  return text.replace(/\u001b\[[0-9;]*[A-Za-z]|[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
}

function repeats(text: string, blocks: readonly number[], request: string): boolean {
  let looks = 0
  return blocks.some((start) => {
    const block = text.slice(start, start + blockLength)
    for (let at = request.indexOf(block); at !== -1; at = request.indexOf(block, at + 1))
      if (commonLength(text, start, request, at) >= echoLength || ++looks > maxLooks) return true
    return false
  })
}

/** Length of the common substring around two positions at which the texts are equal. */
function commonLength(text: string, start: number, request: string, at: number): number {
  let [before, behind] = [0, blockLength]
  while (before < echoLength && start > before && text[start - before - 1] === request[at - before - 1])
    before++
  while (behind < echoLength && start + behind < text.length && text[start + behind] === request[at + behind])
    behind++
  return before + behind
}
