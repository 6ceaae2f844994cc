import { createHmac, hkdfSync } from 'node:crypto'
import type { JsonScan } from '../../lib/json/splice.ts'
import type { ChatRequest } from '../../sdk/chat.ts'

/**
 * Members that do not affect the response and are not part of the cache key: delivery, caller, and trace ids as OpenTelemetry and
 * common gateways name them.
 */
const ignored: ReadonlySet<string> = new Set([
  'stream',
  'stream_options',
  'user',
  'metadata',
  'trace_id',
  'trace',
  'traceparent',
  'tracestate',
  'span_id',
  'request_id',
  'correlation_id',
  'litellm_trace_id',
  'litellm_call_id',
  'litellm_session_id',
])

/** One input of the digest. */
export type KeyPart = string | Buffer

/** Members of a body in canonical order, with their values byte for byte, so that numbers keep all of their digits. */
export function membersOf(bytes: Buffer, { members }: JsonScan): KeyPart[] {
  return members
    .filter(({ key }) => !ignored.has(key))
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .flatMap(({ key, valueStart, valueEnd }) => [key, bytes.subarray(valueStart, valueEnd)])
}

/** The same for a request in the canonical form, whose member order is already stable. */
export function membersOfChat({
  user: _user,
  stream: _stream,
  includeUsage: _usage,
  ...chat
}: ChatRequest): KeyPart[] {
  const extras = Object.entries(chat.extras).filter(([name]) => !ignored.has(name))
  return [JSON.stringify({ ...chat, extras })]
}

/** Computes cache keys. They are keyed with a secret, so that prompts cannot be guessed from the keys in a store. */
export class AnswerDigests {
  readonly #key: Buffer

  constructor(secret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'llm-router answers: digests', 32))
  }

  /** Each part is prefixed with its length, so that different lists of parts never produce the same input. */
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
