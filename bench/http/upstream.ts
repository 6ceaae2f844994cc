import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { onRequest } from '../support/on-request.ts'
import { type Answer, anthropicStream, ollamaStream, openaiStream, openaiWhole } from './answers.ts'

/**
 * Model servers that cost almost nothing: raw sockets and precomputed bytes, one port for each kind of response. Prints the
 * ports. A stream gets one event at each tick, so that each is a separate packet.
 */
const tickMs = 4
const answers = { openaiWhole, openaiStream, ollamaStream, anthropicStream }

interface Running {
  socket: Socket
  chunks: readonly Buffer[]
  next: number
}

const running = new Set<Running>()
setInterval(() => {
  for (const stream of running) {
    const chunk = stream.chunks[stream.next++]
    if (chunk && !stream.socket.destroyed) stream.socket.write(chunk)
    else running.delete(stream)
  }
}, tickMs)

const ports: Record<string, number> = {}
for (const [name, answer] of Object.entries(answers)) ports[name] = await listen(answer)
console.log(`ports ${JSON.stringify(ports)}`)

async function listen(answer: Answer): Promise<number> {
  const chunks = chunksOf(answer)
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    onRequest(socket, () => {
      const [first] = chunks
      if (first && chunks.length === 1) socket.write(first)
      else running.add({ socket, chunks, next: 0 })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

/** Bytes that are written together: the head with the first piece, the last piece with the end of the body. */
function chunksOf({ mediaType, pieces }: Answer): Buffer[] {
  const [first = ''] = pieces
  const head = `HTTP/1.1 200 OK\r\ncontent-type: ${mediaType}\r\n`
  if (pieces.length === 1) {
    return [Buffer.from(`${head}content-length: ${Buffer.byteLength(first)}\r\n\r\n${first}`)]
  }
  return pieces.map((piece, index) => {
    const before = index === 0 ? `${head}transfer-encoding: chunked\r\n\r\n` : ''
    const after = index === pieces.length - 1 ? '0\r\n\r\n' : ''
    return Buffer.from(`${before}${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n${after}`)
  })
}
