import type { JsonObject } from '../../lib/json/read.ts'
import { badRequest } from '../../sdk/errors.ts'

/** The resource name of a model, such as `models/gemini-2.5-flash`. */
export function modelResource(model: string): string {
  return `models/${model.replace(/^models\//, '')}`
}

/** A model as `GET /v1beta/models` lists it. Source: Gemini API reference, "Models". */
export function modelCard({
  alias,
  context,
  embedding,
}: {
  alias: string
  /** In tokens; 0 when it is unknown. */
  context: number
  embedding: boolean
}): JsonObject {
  return {
    name: `models/${alias}`,
    version: '1',
    displayName: alias,
    ...(context > 0 ? { inputTokenLimit: context, outputTokenLimit: context } : {}),
    supportedGenerationMethods: embedding
      ? ['embedContent', 'batchEmbedContents']
      : ['generateContent', 'countTokens'],
  }
}

/** A page of the list of models, or all of it without parameters. Throws `bad_request` for invalid parameters. */
export function modelList(
  cards: readonly JsonObject[],
  { pageSize, pageToken }: Readonly<JsonObject>,
): JsonObject {
  const start = pageToken === undefined || pageToken === '' ? 0 : Number(pageToken)
  if (!Number.isInteger(start) || start < 0 || start > cards.length)
    throw badRequest("'pageToken' must be the nextPageToken of an earlier page", 'pageToken')
  const size = pageSize === undefined || pageSize === '0' ? cards.length : Number(pageSize)
  if (!Number.isInteger(size) || size < 0)
    throw badRequest("'pageSize' must be an integer of at least 1", 'pageSize')
  const end = Math.min(start + size, cards.length)
  return { models: cards.slice(start, end), ...(end < cards.length ? { nextPageToken: String(end) } : {}) }
}

/**
 * The model and method in the rest of a path, such as `gemini-2.5-flash:generateContent`. The last colon separates them,
 * because model names may contain colons and slashes. Undefined if there is no method.
 */
export function readCallPath(path: string): { model: string; method: string } | undefined {
  const colon = path.lastIndexOf(':')
  return colon <= 0 ? undefined : { model: path.slice(0, colon), method: path.slice(colon + 1) }
}

/** Throws `bad_request` for an API key in the query: Google accepts it there, but proxies log URLs. */
export function rejectQueryKey(query: unknown): void {
  if (typeof query === 'object' && query !== null && 'key' in query)
    throw badRequest("An API key in the URL is not accepted: send it in the header 'x-goog-api-key'", 'key')
}
