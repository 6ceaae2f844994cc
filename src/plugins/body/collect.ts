import type { Readable } from 'node:stream'
import { badRequest, tooLarge } from '../../sdk/errors.ts'

/** Smaller ones come from the pool that Node keeps for such. */
const smallBytes = 4 * 1024

/**
 * Collects a body, of `announced` bytes where its header tells, of `limit` bytes at most. It is copied as it comes, so that the
 * room of what was read is free again at once, and a large body stops the process no longer than a small one.
 */
export function collectBody(
  payload: Readable,
  { announced, limit }: { announced: number | undefined; limit: number },
  done: (result: Buffer | Error) => void,
): void {
  if (announced !== undefined && announced > limit) {
    done(tooLarge())
    return
  }
  const known = announced === undefined ? undefined : room(announced)
  const chunks: Buffer[] = []
  let received = 0
  let over = false
  const end = (result: Buffer | Error): void => {
    if (over) return
    over = true
    done(result)
  }
  const onData = (chunk: Buffer): void => {
    if (over) return
    const at = received
    received += chunk.length
    if (received > limit) end(tooLarge())
    else if (!known) chunks.push(chunk)
    else if (received <= known.length) chunk.copy(known, at)
  }
  const onEnd = (): void => {
    if (known && received !== known.length) end(badRequest('The body is not as long as content-length says'))
    else end(known ?? Buffer.concat(chunks, received))
  }
  // They stay, which costs less than to take them off; and one that is refused may still break, and nobody else would hear it.
  payload.on('data', onData).on('end', onEnd).on('error', end)
  payload.resume()
}

function room(bytes: number): Buffer {
  return bytes < smallBytes ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes)
}
