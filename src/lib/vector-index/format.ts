import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { isObject, parseObject } from '../json/read.ts'

/**
 * An index of pieces of text, in one file. Behind a head of fixed length follow the vectors (Float32, each of length 1), then the
 * ends of the pieces in the part behind it (Float64), then the pieces, each as JSON. All numbers are little-endian.
 */
export interface IndexHead {
  readonly name: string
  /** Of the model that made the vectors, as the router calls it. */
  readonly model: string
  readonly dimension: number
  readonly chunks: number
  /** ISO 8601. */
  readonly createdAt: string
}

/** A piece of a document. */
export interface Chunk {
  readonly text: string
  /** Path of the document in its directory. */
  readonly source: string
  /** The headings above the piece; empty: it has none. */
  readonly title: string
}

/** An invalid file; the message is for operators. */
export class IndexError extends Error {
  override readonly name = 'IndexError'
}

/** The file's first bytes. */
const magic = 'LLMRIDX\n'
const formatVersion = 1
/** Of the head with all that fills it, in bytes: a multiple of the page size. */
export const headBytes = 4096

const maxDimension = 16_384
export const maxChunks = 2_000_000

export function writeHead(head: IndexHead): Buffer {
  const json = JSON.stringify({ version: formatVersion, ...head })
  const bytes = Buffer.alloc(headBytes, ' ')
  bytes.write(magic, 'latin1')
  if (bytes.write(json, magic.length, 'utf8') < Buffer.byteLength(json))
    throw new IndexError('the head is too long')
  return bytes
}

/** The head of an open file. Throws IndexError if it is not a complete index. */
export function readHead(file: number): IndexHead {
  const bytes = Buffer.alloc(headBytes)
  const read = readSync(file, bytes, 0, headBytes, 0)
  if (bytes.toString('latin1', 0, magic.length) !== magic) throw new IndexError('not an index of llm-router')
  if (read < headBytes) throw new IndexError('it is not complete')
  const { version, name, model, dimension, chunks, createdAt } =
    parseObject(bytes.toString('utf8', magic.length).trimEnd()) ?? {}
  if (version !== formatVersion)
    throw new IndexError(
      `its format is version ${String(version)}; this router reads version ${formatVersion}`,
    )
  if (typeof name !== 'string' || typeof model !== 'string' || typeof createdAt !== 'string')
    throw new IndexError('its head is damaged')
  if (!isCount(dimension, maxDimension) || !isCount(chunks, maxChunks))
    throw new IndexError('its head is damaged')
  const head = { name, model, dimension, chunks, createdAt }
  const { size } = fstatSync(file)
  const ends = endsAt(head)
  const last = Buffer.alloc(8)
  if (size < ends + chunks * 8 || readSync(file, last, 0, 8, ends + (chunks - 1) * 8) < 8)
    throw new IndexError('it is not complete')
  if (size !== textsAt(head) + last.readDoubleLE()) throw new IndexError('it is not complete')
  return head
}

/** The head of a file. Throws IndexError, also for one that cannot be read. */
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

/** Offset of the pieces' end offsets. */
export function endsAt({ dimension, chunks }: Pick<IndexHead, 'dimension' | 'chunks'>): number {
  return headBytes + chunks * dimension * 4
}

/** Offset of the pieces. */
export function textsAt(head: Pick<IndexHead, 'dimension' | 'chunks'>): number {
  return endsAt(head) + head.chunks * 8
}

/** The piece at a position. */
export function readChunk(file: number, head: IndexHead, position: number): Chunk {
  const ends = Buffer.alloc(16)
  if (position > 0) readSync(file, ends, 0, 16, endsAt(head) + (position - 1) * 8)
  else readSync(file, ends, 8, 8, endsAt(head))
  const from = position > 0 ? ends.readDoubleLE(0) : 0
  const bytes = Buffer.alloc(Math.max(0, ends.readDoubleLE(8) - from))
  readSync(file, bytes, 0, bytes.length, textsAt(head) + from)
  const chunk: unknown = JSON.parse(bytes.toString())
  if (!isObject(chunk)) throw new IndexError('a piece of it is damaged')
  const { text, source, title } = chunk
  return { text: String(text ?? ''), source: String(source ?? ''), title: String(title ?? '') }
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= most
}
