import { isObject } from '../../lib/json/read.ts'
import { postJson } from '../processors/post-json.ts'

/** A search result. */
export interface Hit {
  text: string
  title: string
  source: string
  score: number | undefined
}

export interface ServiceQuery {
  readonly query: string
  readonly limit: number
  readonly signal: AbortSignal
}

interface Service {
  readonly type: 'http' | 'vector_store'
  readonly url: string
  readonly token: string | undefined
}

/** Queries a search service over HTTP. Rejects if the response is invalid. */
export async function searchService(
  { type, url, token }: Service,
  { query, limit, signal }: ServiceQuery,
): Promise<Hit[]> {
  const body = type === 'http' ? { query, limit } : { query, max_num_results: limit }
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const answer = await postJson(url, body, signal, headers)
  const list = isObject(answer) ? (type === 'http' ? answer.results : answer.data) : undefined
  if (!Array.isArray(list)) throw new Error('the response of the search service has no list of results')
  return list.slice(0, limit).map((item: unknown) => {
    if (!isObject(item)) throw new Error('a search result is not an object')
    return type === 'http' ? ownHit(item) : storeHit(item)
  })
}

/** `{"text", "title"?, "source"?, "score"?}` */
function ownHit({ text, title, source, score }: Record<string, unknown>): Hit {
  if (typeof text !== 'string') throw new Error('a search result has no text')
  return { text, title: wordOf(title), source: wordOf(source), score: numberOf(score) }
}

/** OpenAI API reference, "Search vector store": `{"file_id", "filename", "score", "content": [{"type": "text", "text"}]}` */
function storeHit({ file_id: id, filename, score, content }: Record<string, unknown>): Hit {
  if (!Array.isArray(content)) throw new Error('a search result has no content')
  const texts = content.flatMap((part: unknown) =>
    isObject(part) && typeof part.text === 'string' ? [part.text] : [],
  )
  return {
    text: texts.join('\n'),
    title: wordOf(filename),
    source: wordOf(id),
    score: numberOf(score),
  }
}

/** Longer titles and sources are truncated, in characters. */
const maxWord = 512

function wordOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, maxWord).replaceAll(/\s+/g, ' ').trim() : ''
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
