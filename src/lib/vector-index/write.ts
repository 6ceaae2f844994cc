import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import {
  type Chunk,
  endsOffset,
  headBytes,
  IndexError,
  type IndexHead,
  maxChunks,
  textsOffset,
  writeHead,
} from './format.ts'

/** Writes an index to a temporary file and renames it when complete. */
export class IndexWriter {
  readonly #path: string
  readonly #file: number
  readonly #head: Pick<IndexHead, 'name' | 'model'> & { chunks: number }
  readonly #texts: Buffer[] = []
  #dimension = 0
  #vectors = 0

  /** `chunks`: the number of chunks that will be added. */
  constructor(path: string, head: Pick<IndexHead, 'name' | 'model'> & { chunks: number }) {
    if (head.chunks === 0) throw new IndexError('there is nothing to index')
    if (head.chunks > maxChunks) throw new IndexError(`more than ${maxChunks} chunks`)
    this.#path = path
    this.#head = head
    this.#file = openSync(this.#temporaryPath, 'w', 0o640)
  }

  get #temporaryPath(): string {
    return `${this.#path}.part`
  }

  add(chunk: Chunk, vector: Float32Array): void {
    if (this.#dimension === 0) this.#dimension = vector.length
    if (vector.length !== this.#dimension)
      throw new IndexError(`a vector has ${vector.length} numbers, not ${this.#dimension}`)
    const bytes = bytesOf(normalized(vector))
    writeSync(this.#file, bytes, 0, bytes.length, headBytes + this.#vectors * bytes.length)
    this.#vectors++
    this.#texts.push(Buffer.from(JSON.stringify(chunk)))
  }

  /** Writes the rest of the file and moves it to its final path. */
  finish(createdAt: Date): IndexHead {
    const { name, model, chunks } = this.#head
    if (this.#vectors !== chunks) throw new IndexError(`${this.#vectors} chunks were added, not ${chunks}`)
    const head = { name, model, dimension: this.#dimension, chunks, createdAt: createdAt.toISOString() }
    const ends = Buffer.alloc(chunks * 8)
    let end = 0
    for (const [index, text] of this.#texts.entries()) {
      end += text.length
      ends.writeDoubleLE(end, index * 8)
    }
    writeSync(this.#file, ends, 0, ends.length, endsOffset(head))
    let offset = textsOffset(head)
    for (const text of this.#texts) offset += writeSync(this.#file, text, 0, text.length, offset)
    writeSync(this.#file, writeHead(head), 0, headBytes, 0)
    fsyncSync(this.#file)
    closeSync(this.#file)
    renameSync(this.#temporaryPath, this.#path)
    return head
  }

  /** Discards what has been written. */
  abort(): void {
    closeSync(this.#file)
    rmSync(this.#temporaryPath, { force: true })
  }
}

/** Normalizes a vector to length 1, so that the dot product of two vectors is their cosine similarity. */
export function normalized(vector: Float32Array): Float32Array {
  let sum = 0
  for (const value of vector) sum += value * value
  const length = Math.sqrt(sum)
  return length === 0 ? vector : vector.map((value) => value / length)
}

function bytesOf(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes
}
