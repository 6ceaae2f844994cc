import { isObject, type JsonObject, objectsIn } from '../../lib/json/read.ts'

/** Why the answer to a body is neither taken from the cache nor kept there; undefined: it may be. */
export function bypassReason(body: JsonObject, { tools }: { tools: boolean }): string | undefined {
  if (isSet(body.previous_response_id)) return 'previous_response_id'
  if (isSet(body.conversation)) return 'conversation'
  if (body.store === true) return 'store'
  if (body.background === true) return 'background'
  if (body.echo === true) return 'echo'
  if (!tools && toolMembers.some((member) => isSet(body[member]))) return 'tools'
  const generation = [body.generationConfig, body.generation_config].find(isObject) ?? {}
  if (asksForMedia(body) || asksForMedia(generation)) return 'media'
  const answers = [body.n, body.best_of, generation.candidateCount, generation.candidate_count]
  if (answers.some((count) => Number(count) > 1) && !hasSeed(body, generation)) return 'n'
  return undefined
}

/** What lets a model act, or ask others than the router. */
const toolMembers = ['tools', 'functions', 'mcp_servers', 'web_search_options', 'plugins'] as const

function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return value !== undefined && value !== null && value !== false && value !== ''
}

/** Sounds and pictures are large, and no two are meant to be alike. */
function asksForMedia(body: JsonObject): boolean {
  const modalities = [body.modalities, body.responseModalities, body.response_modalities].flat()
  if (isSet(body.audio) || isSet(body.speechConfig) || isSet(body.speech_config)) return true
  return modalities.some((modality) => typeof modality === 'string' && modality.toLowerCase() !== 'text')
}

function hasSeed(body: JsonObject, generation: JsonObject): boolean {
  const options = objectsIn([body.options, generation])
  return [body, ...options].some(({ seed }) => typeof seed === 'number')
}

/** What a client says of the cache, in the words of RFC 9111, section 5.2.1. */
export interface CacheWish {
  /** Neither reads nor writes. */
  readonly noStore: boolean
  /** Writes only. */
  readonly noCache: boolean
  /** The oldest answer that will do, in milliseconds. */
  readonly maxAgeMs: number
}

const nothing: CacheWish = { noStore: false, noCache: false, maxAgeMs: Number.POSITIVE_INFINITY }

/** Reads `cache-control`. What is not known is left alone, as in any cache. */
export function cacheWish(header: string | undefined): CacheWish {
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
