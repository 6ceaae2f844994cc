import type { Socket } from 'node:net'

/** Calls back when a request with its body, as given by Content-Length, has arrived. One request at a time. */
export function onRequest(socket: Socket, answer: (method: string) => void): void {
  let head = ''
  let method = ''
  let left = 0
  socket.on('data', (chunk: Buffer) => {
    if (left > 0) {
      left -= chunk.length
    } else {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      const length = Number(/content-length: *(\d+)/i.exec(head.slice(0, end))?.[1] ?? 0)
      left = length - (head.length - end - 4)
      method = head.slice(0, head.indexOf(' '))
      head = ''
    }
    if (left <= 0) answer(method)
  })
}
