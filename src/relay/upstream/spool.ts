import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { RouterError, tooLarge } from '../../sdk/errors.ts'

/** A piece of a request body: a byte range of the file, `start` to `end` (exclusive), or given bytes. */
export type SpoolPiece = { start: number; end: number } | Buffer

/** A request body in an unlinked file, which can be read any number of times. */
export interface Spool {
  readonly bytes: number
  /** A new stream of these pieces, one after the other. */
  read(pieces: readonly SpoolPiece[]): Readable
  /** Releases the disk space. */
  close(): Promise<void>
}

const chunkBytes = 64 * 1024

/**
 * Writes a body to a temporary file, with backpressure. Throws `too_large` beyond `maxBytes`, `overloaded` if the file cannot be
 * written, and what `onChunk` throws.
 */
export async function spoolBody(
  source: Readable,
  { maxBytes, onChunk }: { maxBytes: number; onChunk: (chunk: Buffer) => void },
): Promise<Spool> {
  const file = await namelessFile().catch(cannotStore)
  let bytes = 0
  try {
    // A request that is destroyed loses its socket, over which the client still has to get the error.
    for await (const received of source.iterator({ destroyOnReturn: false })) {
      const chunk: Buffer = Buffer.isBuffer(received) ? received : Buffer.from(received)
      bytes += chunk.length
      if (bytes > maxBytes) {
        throw tooLarge()
      }
      onChunk(chunk)
      await file.appendFile(chunk).catch(cannotStore)
    }
  } catch (error) {
    await file.close()
    throw error
  }
  return {
    bytes,
    read: (pieces) => Readable.from(piecesOf(file, pieces), { objectMode: false }),
    close: () => file.close(),
  }
}

/** A full disk, or no more file descriptors. */
function cannotStore(cause: NodeJS.ErrnoException): never {
  throw new RouterError('overloaded', 'The router cannot store the request at the moment', {
    code: 'overloaded',
    retryAfterSeconds: 5,
    cause,
    ...(cause.code === undefined ? {} : { causeCode: cause.code }),
  })
}

/** An unlinked file leaves nothing behind, whatever happens to the process. */
async function namelessFile(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'llm-router-'))
  try {
    return await open(join(folder, 'body'), 'wx+', 0o600)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function* piecesOf(file: FileHandle, pieces: readonly SpoolPiece[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    if (Buffer.isBuffer(piece)) {
      if (piece.length > 0) yield piece
      continue
    }
    for (let at = piece.start; at < piece.end; ) {
      const length = Math.min(chunkBytes, piece.end - at)
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, at)
      if (bytesRead === 0) throw new Error('the spooled body is shorter than it was')
      yield buffer.subarray(0, bytesRead)
      at += bytesRead
    }
  }
}
