import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { type Chunk, headBytes, IndexError, type IndexHead, readChunk, readHead } from './format.ts'
import { normalized } from './write.ts'

export interface FoundChunk extends Chunk {
  /** Cosine similarity of question and chunk, -1 to 1. */
  readonly score: number
}

/** Vectors are read from the file in blocks of about this size, in bytes, so that processes share them in the page cache. */
const blockBytes = 4 * 1024 * 1024

/** A searchable index file, reopened when the file is replaced. */
export class SearchedIndex {
  readonly #path: string
  readonly #model: string
  #open: { file: number; head: IndexHead; version: string } | undefined
  #rejected: string | undefined
  #block = Buffer.alloc(0)

  /** `model`: name of the model that embeds the questions. */
  constructor(path: string, model: string) {
    this.#path = path
    this.#model = model
  }

  /**
   * Opens the file, or reopens it if it was replaced. Returns why a replacement is rejected, once per replacement; the previous
   * file then stays in use. Throws IndexError if there is none.
   */
  refresh(): string | undefined {
    let version = ''
    try {
      const { ino, size, mtimeMs } = statSync(this.#path)
      version = `${ino} ${size} ${mtimeMs}`
      if (version === this.#open?.version || (this.#open && version === this.#rejected)) return undefined
      const file = openSync(this.#path, 'r')
      try {
        const head = readHead(file)
        if (head.model !== this.#model)
          throw new IndexError(
            `its vectors are of the model ${JSON.stringify(head.model)}, not ${JSON.stringify(this.#model)}`,
          )
        this.close()
        const { ino: inode, size: bytes, mtimeMs: at } = fstatSync(file)
        this.#open = { file, head, version: `${inode} ${bytes} ${at}` }
      } catch (error) {
        closeSync(file)
        throw error
      }
      this.#rejected = undefined
      return undefined
    } catch (error) {
      const reason =
        error instanceof IndexError ? error.message : `cannot be read (${String(Object(error).code)})`
      if (!this.#open) throw new IndexError(reason)
      if (this.#rejected === version) return undefined
      this.#rejected = version
      return reason
    }
  }

  /** Returns the chunks most similar to the question, best first, by comparison with all chunks. */
  search(question: Float32Array, limit: number): FoundChunk[] {
    if (!this.#open) throw new IndexError('the file does not exist')
    const { file, head } = this.#open
    const { dimension, chunks } = head
    if (question.length !== dimension)
      throw new IndexError(
        `its vectors have ${dimension} numbers, that of the question has ${question.length}`,
      )
    const query = normalized(question)
    const top = new TopChunks(limit)
    const rows = Math.max(1, Math.floor(blockBytes / (dimension * 4)))
    if (this.#block.length < rows * dimension * 4) this.#block = Buffer.alloc(rows * dimension * 4)
    const values = new Float32Array(this.#block.buffer, this.#block.byteOffset, rows * dimension)
    for (let from = 0; from < chunks; from += rows) {
      const count = Math.min(rows, chunks - from)
      const bytes = count * dimension * 4
      if (readSync(file, this.#block, 0, bytes, headBytes + from * dimension * 4) < bytes)
        throw new IndexError('the file is incomplete')
      for (let row = 0; row < count; row++) top.add(dotProduct(values, row * dimension, query), from + row)
    }
    return top.entries.map(({ score, position }) => ({ ...readChunk(file, head, position), score }))
  }

  close(): void {
    if (this.#open) closeSync(this.#open.file)
    this.#open = undefined
  }
}

/** Dot product, in four independent sums, which the CPU computes in parallel. The indexes are within both arrays. */
function dotProduct(values: Float32Array, from: number, question: Float32Array): number {
  const { length } = question
  const whole = length - (length % 4)
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  for (let index = 0, at = from; index < whole; index += 4, at += 4) {
    a += (values[at] as number) * (question[index] as number)
    b += (values[at + 1] as number) * (question[index + 1] as number)
    c += (values[at + 2] as number) * (question[index + 2] as number)
    d += (values[at + 3] as number) * (question[index + 3] as number)
  }
  for (let index = whole; index < length; index++)
    a += (values[from + index] as number) * (question[index] as number)
  return a + b + c + d
}

/** The `limit` best of the added entries, best first. */
class TopChunks {
  readonly #limit: number
  readonly #entries: { score: number; position: number }[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  add(score: number, position: number): void {
    const last = this.#entries.at(-1)
    if (this.#entries.length >= this.#limit && last && score <= last.score) return
    const at = this.#entries.findIndex((each) => each.score < score)
    this.#entries.splice(at === -1 ? this.#entries.length : at, 0, { score, position })
    if (this.#entries.length > this.#limit) this.#entries.pop()
  }

  get entries(): readonly { score: number; position: number }[] {
    return this.#entries
  }
}
