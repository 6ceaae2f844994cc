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

const unitSeconds: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
}
const duration = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/

/**
 * `keep_alive` in whole seconds, at least 1: a number of seconds, or a duration such as `1h30m` (Go, `time.ParseDuration`).
 * Undefined for 0 (unload at once), negative values (never unload) and other texts.
 */
export function keptSeconds(keepAlive: string | number | undefined): number | undefined {
  const text = String(keepAlive ?? '')
  const parts = duration.test(text) ? text.split(/(?<=[a-z])(?=\d)/) : []
  let seconds = Number(typeof keepAlive === 'number' ? keepAlive : 0)
  for (const part of parts)
    seconds += Number.parseFloat(part) * (unitSeconds[part.replace(/^[\d.]+/, '')] ?? 0)
  return seconds > 0 && Number.isFinite(seconds) ? Math.ceil(seconds) : undefined
}

/** Reports Ollama's members as dropped, for servers of all other types. */
export function reportOllamaMembers(ollama: OllamaMembers | undefined, drop: Drop): void {
  if (ollama?.keepAlive !== undefined)
    drop('keep_alive', 'the upstream decides how long a model stays loaded')
  for (const name of Object.keys(ollama?.options ?? {})) {
    drop(`options.${name}`, 'the upstream sets this when it starts, not per request')
  }
}
