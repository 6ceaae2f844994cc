import type { IncomingMessage } from 'node:http'

/** For how long a client may go on sending behind its last answer, in milliseconds. */
const hearOutMs = 5_000

/**
 * For the end of an answer: hears out a client that still sends the body of its request when the answer has ended the
 * connection. Node would close at once, and the system then meets what still comes with a reset, which costs a client that
 * reads after it has sent its answer: it sees a broken pipe and not why its body was refused. RFC 9112, section 9.6.
 */
export function hearOut(request: IncomingMessage): void {
  const { socket, complete } = request
  if (complete || !socket.writableEnded || socket.destroyed) return
  // From `destroySoon`, by which Node closes behind the last answer.
  socket.off('finish', socket.destroy)
  const timer = setTimeout(() => socket.destroy(), hearOutMs).unref()
  socket.once('close', () => clearTimeout(timer))
  request.once('end', () => socket.destroySoon())
  request.resume()
}
