import { createHmac, hkdfSync } from 'node:crypto'
import type { JsonScan } from '../../lib/json/splice.ts'
import type { ChatRequest } from '../../sdk/chat.ts'

/**
 * Members that change no answer: how it is sent, and who asked when. Names of traces are those of OpenTelemetry and of common
 * gateways.
 */
const ignored: ReadonlySet<string> = new Set([
  ...['stream', 'stream_options', 'user', 'metadata'],
  ...['trace_id', 'trace', 'traceparent', 'tracestate', 'span_id', 'request_id', 'correlation_id'],
  ...['litellm_trace_id', 'litellm_call_id', 'litellm_session_id'],
])

/** A piece of what a digest is made of. */
export type KeyPart = string | Buffer

/** The members of a body as they came, in an order of their own: numbers keep all of their digits. */
export function membersOf(bytes: Buffer, { members }: JsonScan): KeyPart[] {
  return members
    .filter(({ key }) => !ignored.has(key))
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .flatMap(({ key, valueStart, valueEnd }) => [key, bytes.subarray(valueStart, valueEnd)])
}

/** The same of a request in the canonical form, whose members have the same order each time. */
export function membersOfChat({
  user: _user,
  stream: _stream,
  includeUsage: _usage,
  ...chat
}: ChatRequest): KeyPart[] {
  const extras = Object.entries(chat.extras).filter(([name]) => !ignored.has(name))
  return [JSON.stringify({ ...chat, extras })]
}

/** Digests by which answers are found again. Without the secret nobody can try out what was asked. */
export class AnswerDigests {
  readonly #key: Buffer

  constructor(secret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'llm-router answers: digests', 32))
  }

  /** No two lists of parts have the same bytes: each part has its length in front. */
  of(parts: Iterable<KeyPart>): string {
    const hmac = createHmac('sha256', this.#key)
    const length = Buffer.alloc(4)
    for (const part of parts) {
      length.writeUInt32BE(Buffer.byteLength(part))
      hmac.update(length).update(part)
    }
    return hmac.digest('base64url')
  }
}
