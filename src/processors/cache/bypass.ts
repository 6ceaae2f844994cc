import { isObject, type JsonObject, objectsIn } from '../../lib/json/read.ts'

/** Reasons for which a request bypasses the cache. docs/cache.md describes them. */
export const bypassReasons = [
  ...(['previous_response_id', 'conversation', 'store', 'background', 'tools', 'n'] as const),
  ...(['media', 'echo', 'processor'] as const),
] as const

export type BypassReason = (typeof bypassReasons)[number]

/** Why a request bypasses the cache, so that no entry is read or written; undefined if it does not. */
export function bypassReason(body: JsonObject, { tools }: { tools: boolean }): BypassReason | undefined {
  if (isSet(body.previous_response_id)) return 'previous_response_id'
  if (isSet(body.conversation)) return 'conversation'
  if (body.store === true) return 'store'
  if (body.background === true) return 'background'
  if (body.echo === true) return 'echo'
  if (!tools && toolMembers.some((member) => isSet(body[member]))) return 'tools'
  const generation = [body.generationConfig, body.generation_config].find(isObject) ?? {}
  if (asksForMedia(body) || asksForMedia(generation)) return 'media'
  const answers = [body.n, body.best_of, generation.candidateCount, generation.candidate_count]
  if (!answers.every(isOne) && !hasSeed(body, generation)) return 'n'
  return undefined
}

/** Members that allow the model, or the server on its behalf, to act or to fetch data. */
export const toolMembers = ['tools', 'functions', 'mcp_servers', 'web_search_options', 'plugins'] as const

function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return value !== undefined && value !== null && value !== false && value !== ''
}

/** A count of another type is for the server to judge. */
function isOne(count: unknown): boolean {
  return [undefined, null, 1, '1'].some((one) => one === count)
}

/** Audio and images are large, and clients expect a new one each time. */
function asksForMedia(body: JsonObject): boolean {
  const modalities = [body.modalities, body.responseModalities, body.response_modalities].flat()
  if (isSet(body.audio) || isSet(body.speechConfig) || isSet(body.speech_config)) return true
  return modalities.some((modality) => typeof modality === 'string' && modality.toLowerCase() !== 'text')
}

function hasSeed(body: JsonObject, generation: JsonObject): boolean {
  const options = objectsIn([body.options, generation])
  return [body, ...options].some(({ seed }) => typeof seed === 'number')
}

/** Request directives of `cache-control` (RFC 9111, section 5.2.1). */
export interface CacheDirectives {
  /** Bypass: no entry is read or written. */
  readonly noStore: boolean
  /** No entry is read; the new response is stored. */
  readonly noCache: boolean
  /** Maximum age of an entry, in milliseconds. */
  readonly maxAgeMs: number
}

const nothing: CacheDirectives = { noStore: false, noCache: false, maxAgeMs: Number.POSITIVE_INFINITY }

/** Parses `cache-control`. Unknown directives are ignored, as RFC 9111 requires. */
export function readCacheDirectives(header: string | undefined): CacheDirectives {
  if (header === undefined) return nothing
  const directives = header
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim())
  const age = directives.map((directive) => /^max-age\s*=\s*"?(\d+)"?$/.exec(directive)?.[1]).find(Boolean)
  return {
    noStore: directives.includes('no-store'),
    noCache: directives.includes('no-cache'),
    maxAgeMs: age === undefined ? Number.POSITIVE_INFINITY : Number(age) * 1000,
  }
}
