import { isObject } from '../../lib/json/read.ts'
import { applyEdits, scanObject, setMembers } from '../../lib/json/splice.ts'
import { asksForJson } from '../../processors/structured.ts'

/** Response options of a request. */
export interface RequestOptions {
  readonly isStructured: boolean
  readonly logprobs: boolean
}

export function requestOptionsOf(bytes: Buffer): RequestOptions {
  const body: unknown = JSON.parse(bytes.toString())
  if (!isObject(body)) return { isStructured: false, logprobs: false }
  return { isStructured: asksForJson(body), logprobs: Boolean(body.logprobs) || Boolean(body.top_logprobs) }
}

const anonymize: ReadonlySet<string> = new Set(['anonymize'])

/** The body without the member that enables masking, which upstreams do not know. */
export function withoutAnonymize(bytes: Buffer): Buffer {
  if (!bytes.includes('"anonymize"')) return bytes
  const scan = scanObject(bytes)
  if (!scan?.members.some(({ key }) => key === 'anonymize')) return bytes
  return applyEdits(bytes, setMembers(scan, {}, anonymize))
}
