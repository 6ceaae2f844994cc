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
