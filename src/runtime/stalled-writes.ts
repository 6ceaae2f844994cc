import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** How often sockets are looked at, as a part of the limit. */
const lookShare = 1 / 4

/**
 * Gives sockets whose peer does not take what was written a timeout of `limitMs` without progress; Node then tells the server
 * by `timeout`. Only those: a timer of each socket would be set back with every write. `isIdle`: whether a socket is between
 * two requests, where its timeout is that of the kept-alive connection.
 */
export function watchWrites(server: Server, limitMs: number, isIdle: (socket: Socket) => boolean): void {
  const sockets = new Set<Socket>()
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    for (const socket of sockets) {
      const waits = socket.writableLength > 0
      if (waits && socket.timeout !== limitMs) socket.setTimeout(limitMs)
      else if (!waits && socket.timeout === limitMs && !isIdle(socket)) socket.setTimeout(0)
    }
  }
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    timer ??= setInterval(look, limitMs * lookShare)
  })
  server.on('close', () => {
    clearInterval(timer)
    timer = undefined
  })
}
