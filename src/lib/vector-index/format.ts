import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { isObject, parseObject } from '../json/read.ts'

/**
 * An index of chunks of text, in one file: a header of fixed length, the vectors (Float32, normalized), the end offset of each
 * chunk relative to the first one (Float64), and the chunks, each as JSON. All numbers are little-endian. This is the header.
 */
export interface IndexHead {
  readonly name: string
  /** Name of the embedding model in the router. */
  readonly model: string
  readonly dimension: number
  readonly chunks: number
  /** ISO 8601. */
  readonly createdAt: string
}

/** A chunk of a document. */
export interface Chunk {
  readonly text: string
  /** Path of the document in its directory. */
  readonly source: string
  /** The headings above the chunk; empty if there are none. */
  readonly title: string
}

/** An invalid file; the message is for operators. */
export class IndexError extends Error {
  override readonly name = 'IndexError'
}

/** The file's first bytes. */
const magic = 'LLMRIDX\n'
const formatVersion = 1
/** Length of the header including padding, in bytes: a multiple of the page size. */
export const headBytes = 4096

const maxDimension = 16_384
export const maxChunks = 2_000_000

export function writeHead(head: IndexHead): Buffer {
  const json = JSON.stringify({ version: formatVersion, ...head })
  const bytes = Buffer.alloc(headBytes, ' ')
  bytes.write(magic, 'latin1')
  if (bytes.write(json, magic.length, 'utf8') < Buffer.byteLength(json))
    throw new IndexError('the header is too long')
  return bytes
}

/** Reads the header of an open file. Throws IndexError if the file is not a complete index. */
export function readHead(file: number): IndexHead {
  const bytes = Buffer.alloc(headBytes)
  const read = readSync(file, bytes, 0, headBytes, 0)
  if (bytes.toString('latin1', 0, magic.length) !== magic) throw new IndexError('not an index of llm-router')
  if (read < headBytes) throw new IndexError('the file is incomplete')
  const { version, name, model, dimension, chunks, createdAt } =
    parseObject(bytes.toString('utf8', magic.length).trimEnd()) ?? {}
  if (version !== formatVersion)
    throw new IndexError(
      `its format is version ${String(version)}; this router reads version ${formatVersion}`,
    )
  if (typeof name !== 'string' || typeof model !== 'string' || typeof createdAt !== 'string')
    throw new IndexError('its header is damaged')
  if (!isCount(dimension, maxDimension) || !isCount(chunks, maxChunks))
    throw new IndexError('its header is damaged')
  const head = { name, model, dimension, chunks, createdAt }
  const { size } = fstatSync(file)
  const ends = endsOffset(head)
  const last = Buffer.alloc(8)
  if (size < ends + chunks * 8 || readSync(file, last, 0, 8, ends + (chunks - 1) * 8) < 8)
    throw new IndexError('the file is incomplete')
  if (size !== textsOffset(head) + last.readDoubleLE()) throw new IndexError('the file is incomplete')
  return head
}

/** Reads the header of a file. Throws IndexError if the file is not a complete index or cannot be read. */
export function headOfFile(path: string): IndexHead {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    const { code } = Object(error)
    throw new IndexError(code === 'ENOENT' ? 'there is no such file' : `cannot be read (${String(code)})`)
  }
  try {
    return readHead(file)
  } finally {
    closeSync(file)
  }
}

/** File offset of the chunks' end offsets. */
export function endsOffset({ dimension, chunks }: Pick<IndexHead, 'dimension' | 'chunks'>): number {
  return headBytes + chunks * dimension * 4
}

/** File offset of the chunks. */
export function textsOffset(head: Pick<IndexHead, 'dimension' | 'chunks'>): number {
  return endsOffset(head) + head.chunks * 8
}

/** Reads the chunk at an index. */
export function readChunk(file: number, head: IndexHead, position: number): Chunk {
  const ends = Buffer.alloc(16)
  if (position > 0) readSync(file, ends, 0, 16, endsOffset(head) + (position - 1) * 8)
  else readSync(file, ends, 8, 8, endsOffset(head))
  const from = position > 0 ? ends.readDoubleLE(0) : 0
  const bytes = Buffer.alloc(Math.max(0, ends.readDoubleLE(8) - from))
  readSync(file, bytes, 0, bytes.length, textsOffset(head) + from)
  const chunk: unknown = JSON.parse(bytes.toString())
  if (!isObject(chunk)) throw new IndexError('one of its chunks is damaged')
  const { text, source, title } = chunk
  return { text: String(text ?? ''), source: String(source ?? ''), title: String(title ?? '') }
}

function isCount(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= max
}
