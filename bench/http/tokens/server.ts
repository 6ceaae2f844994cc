import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { machineMs } from '../../support/machine-clock.ts'
import { onRequest } from '../../support/on-request.ts'
import { providerTypes } from '../cases.ts'
import { tokenText } from './stamp.ts'

/**
 * A model server whose tokens contain their send times. Arguments: milliseconds between two tokens of a stream, and tokens per
 * stream, where 0 means endless. The first token is sent immediately with the head, the others at the stream's own offset
 * within the interval, so that all streams together are an even flow. Prints its port, once for each kind of upstream.
 */
const [intervalMs = 1000, tokens = 0] = process.argv.slice(2).map(Number)
/** Coprime to every interval in use, so that consecutive streams have offsets far apart. */
const stepMs = 617

interface Stream {
  socket: Socket
  left: number
}

const moments = Array.from({ length: intervalMs }, () => new Set<Stream>())
let opened = 0
let dueMs = Math.ceil(machineMs())
setInterval(() => {
  for (const now = machineMs(); dueMs <= now; dueMs++) {
    const due = moments[dueMs % intervalMs]
    if (due) for (const stream of due) sendTo(stream, due)
  }
}, 1)

const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => undefined)
  onRequest(socket, (method) => {
    if (method === 'POST') begin(socket)
    else socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}')
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
const port = typeof address === 'object' && address ? address.port : 0
console.log(
  `ports ${JSON.stringify(Object.fromEntries(Object.keys(providerTypes).map((kind) => [kind, port])))}`,
)

function begin(socket: Socket): void {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
  socket.write(head + chunk({ role: 'assistant', content: '' }) + chunk({ content: tokenText(machineMs()) }))
  moments[(opened++ * stepMs) % intervalMs]?.add({ socket, left: tokens === 0 ? Infinity : tokens - 1 })
}

function sendTo(stream: Stream, due: Set<Stream>): void {
  if (stream.socket.destroyed) {
    due.delete(stream)
  } else if (stream.left-- > 0) {
    stream.socket.write(chunk({ content: tokenText(machineMs()) }))
  } else {
    due.delete(stream)
    stream.socket.write(`${chunk({}, 'stop')}e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n`)
  }
}

function chunk(delta: object, reason: string | null = null): string {
  const event = `data: ${JSON.stringify({
    id: 'chatcmpl-0123456789abcdef01234567',
    object: 'chat.completion.chunk',
    created: 1_795_392_000,
    model: 'served/model-8b',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
  })}\n\n`
  return `${event.length.toString(16)}\r\n${event}\r\n`
}
