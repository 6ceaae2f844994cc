import { parentPort } from 'node:worker_threads'
import { type FoundChunk, SearchedIndex } from '../../lib/vector-index/search.ts'

/**
 * Worker thread that searches the indexes of a process, because comparing all vectors would block the event loop. A replaced index
 * file is loaded by the next search.
 */
export interface SearchQuery {
  readonly id: number
  readonly path: string
  /** Embedding model of the vector. */
  readonly model: string
  readonly vector: Float32Array
  readonly limit: number
}

export type SearchAnswer = { readonly id: number } & (
  | { readonly found: readonly FoundChunk[]; readonly rejected: string | undefined }
  | { readonly error: string }
)

const indexes = new Map<string, SearchedIndex>()

parentPort?.on('message', (question: SearchQuery) => {
  parentPort?.postMessage(answerTo(question))
})

function answerTo({ id, path, model, vector, limit }: SearchQuery): SearchAnswer {
  try {
    const key = JSON.stringify([path, model])
    const index = indexes.get(key) ?? new SearchedIndex(path, model)
    indexes.set(key, index)
    const rejected = index.refresh()
    return { id, found: index.search(vector, limit), rejected }
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) }
  }
}
