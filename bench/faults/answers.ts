import type { Socket } from 'node:net'
import type { Act } from './fault-server.ts'

/** The content of a correct response. */
export const goodText = 'one two three'

const head = { id: 'chatcmpl-bench', created: 1_795_392_000, model: 'served' }

/** A whole completion as JSON. */
export const completion = JSON.stringify({
  ...head,
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: goodText }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
})

export function event(delta: object, finishReason: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finishReason }]
  return `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices })}\n\n`
}

export const role = event({ role: 'assistant', content: '' })
export const finish = event({}, 'stop')
export const done = 'data: [DONE]\n\n'
export const errorEvent = 'data: {"error":{"message":"out of memory","type":"server_error"}}\n\n'
/** The beginning of a stream: when the rest is cut off, the client has received this part. */
export const begun = [role, event({ content: 'one ' }), event({ content: 'two ' })]
export const complete = [...begun, event({ content: 'three' }), finish, done]

export function reply(status: number, body: string, headers: Record<string, string> = {}): Act {
  return (socket) => {
    const fields = {
      'content-type': 'application/json',
      'content-length': `${Buffer.byteLength(body)}`,
      ...headers,
    }
    socket.write(`${headOf(status, fields)}${body}`)
  }
}

export function failing(status: number, headers: Record<string, string> = {}): Act {
  return reply(status, '{"error":{"message":"no","type":"server_error"}}', headers)
}

/** How a stream ends: with its last chunk, with FIN or RST before it, or not at all. */
export type Ending = 'last chunk' | 'FIN' | 'RST' | 'silence'

export function stream(events: readonly string[], ending: Ending = 'last chunk'): Act {
  return (socket) => {
    socket.write(headOf(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }))
    for (const text of events) socket.write(chunk(text))
    end(socket, ending)
  }
}

/** Without Content-Length and chunks, as HTTP/1.0 servers respond: the end of the connection is the end of the body. */
export function untilClose(mediaType: string, pieces: readonly string[], ending: 'FIN' | 'RST' = 'FIN'): Act {
  return (socket) => {
    socket.write(headOf(200, { 'content-type': mediaType, connection: 'close' }))
    for (const piece of pieces) socket.write(piece)
    end(socket, ending)
  }
}

export const reset: Act = (socket) => socket.resetAndDestroy()
export const hang: Act = () => undefined

export function raw(bytes: string): Act {
  return (socket) => socket.end(bytes, 'latin1')
}

export const good: Act = (socket, asked) =>
  (asked.stream ? stream(complete) : reply(200, completion))(socket, asked)

function end(socket: Socket, ending: Ending): void {
  if (ending === 'last chunk') socket.write('0\r\n\r\n')
  else if (ending === 'FIN') socket.end()
  // A reset overtakes bytes that the peer has not read, so it is delayed briefly.
  else if (ending === 'RST') setTimeout(() => socket.resetAndDestroy(), 30)
}

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

function headOf(status: number, headers: Record<string, string>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} X\r\n${lines.join('')}\r\n`
}
