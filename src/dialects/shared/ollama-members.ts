import { isObject, type JsonObject, present } from '../../lib/json/read.ts'
import type { ChatRequest, ResponseFormat } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Drop } from '../../sdk/write-options.ts'
import { checkUnknownCount } from './dropped-fields.ts'
import { isAbsent } from './sampling.ts'

type OllamaMembers = NonNullable<ChatRequest['ollama']>

/**
 * Ollama's `keep_alive` and `options`, which its users also send in requests of other dialects. Throws `bad_request` for too many
 * options.
 */
export function readOllamaMembers(keepAlive: unknown, options: JsonObject): OllamaMembers | undefined {
  checkUnknownCount(Object.keys(options).length)
  const members = present({
    keepAlive: typeof keepAlive === 'string' || typeof keepAlive === 'number' ? keepAlive : undefined,
    options: Object.keys(options).length > 0 ? options : undefined,
  })
  return Object.keys(members).length > 0 ? members : undefined
}

/** Ollama's `format`: "json" or a schema. Throws `bad_request`. */
export function readOllamaFormat(format: unknown): ResponseFormat | undefined {
  if (isAbsent(format) || format === '') return undefined
  if (format === 'json') return { type: 'json' }
  if (isObject(format)) return { type: 'schema', schema: format }
  throw badRequest('\'format\' must be "json" or a JSON schema', 'format')
}

/** Reports Ollama's members as dropped, for servers of all other types. */
export function reportOllamaMembers(ollama: OllamaMembers | undefined, drop: Drop): void {
  if (ollama?.keepAlive !== undefined)
    drop('keep_alive', 'the upstream decides how long a model stays loaded')
  for (const name of Object.keys(ollama?.options ?? {})) {
    drop(`options.${name}`, 'the upstream sets this when it starts, not per request')
  }
}
