import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { IndexError } from '../../lib/vector-index/format.ts'
import type { FoundChunk } from '../../lib/vector-index/search.ts'
import type { SearchAnswer, SearchQuery } from './search-thread.ts'

interface Waiting {
  resolve(answer: SearchAnswer): void
  reject(error: Error): void
}

/** Searches the indexes of a process in a worker thread, which is started by the first search. */
export class IndexSearcher {
  readonly #onRejected: (path: string, why: string) => void
  readonly #waiting = new Map<number, Waiting>()
  #thread: Worker | undefined
  #lastId = 0

  /** `onRefused`: an updated index file was rejected; the previous one stays in use. */
  constructor(onRefused: (path: string, why: string) => void) {
    this.#onRejected = onRefused
  }

  /** The most similar chunks of the index at a path. Rejects with IndexError for an unusable index. */
  async search(question: Omit<SearchQuery, 'id'>): Promise<readonly FoundChunk[]> {
    const thread = this.#startedThread()
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<SearchAnswer>()
    this.#waiting.set(id, { resolve, reject })
    thread.postMessage({ ...question, id })
    const answer = await promise
    if ('error' in answer) throw new IndexError(answer.error)
    if (answer.rejected !== undefined) this.#onRejected(question.path, answer.rejected)
    return answer.found
  }

  async close(): Promise<void> {
    await this.#thread?.terminate()
  }

  #startedThread(): Worker {
    if (this.#thread) return this.#thread
    // .ts in development, .js in dist/.
    const thread = new Worker(new URL(`./search-thread${extname(import.meta.filename)}`, import.meta.url))
    thread.on('message', (answer: SearchAnswer) => {
      this.#waiting.get(answer.id)?.resolve(answer)
      this.#waiting.delete(answer.id)
    })
    const onEnd = (error: Error): void => {
      if (this.#thread === thread) this.#thread = undefined
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    }
    thread.on('error', onEnd)
    thread.on('exit', () => onEnd(new Error('the search thread exited')))
    thread.unref()
    this.#thread = thread
    return thread
  }
}
