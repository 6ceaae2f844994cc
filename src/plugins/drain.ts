import { Server, type Socket } from 'node:net'
import fp from 'fastify-plugin'
import { RouterError } from '../sdk/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    drain: {
      /** True from the first moment of the end: readiness says no, and answers close their connections. */
      readonly active: boolean
    }
  }
}

/** For the first request of a connection that was opened just before the listener closed, in milliseconds. */
const firstRequestMs = 250
/** How often sockets whose answer has ended meanwhile are closed, in milliseconds. */
const closeIdleMs = 100
/** After the streams were told to end, their sockets get this long, in milliseconds. */
const lastWordsMs = 2_000

/**
 * Lets a process end without cutting answers. `app.close()` first keeps serving for a moment, so that clients with open
 * connections learn by `connection: close` to use others; then the listener closes and running answers go on; what still
 * runs at the limit is told so in its dialect.
 */
export default fp(
  (app, _options, done) => {
    let active = false
    let closingIdle: NodeJS.Timeout | undefined
    const sockets = new Set<Socket>()
    let onLastSocket: (() => void) | undefined
    let lastClosedAt = Number.NEGATIVE_INFINITY
    const timers: NodeJS.Timeout[] = []
    app.decorate('drain', {
      get active() {
        return active
      },
    })
    app.server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.once('close', () => {
        sockets.delete(socket)
        lastClosedAt = performance.now()
        if (sockets.size === 0) onLastSocket?.()
      })
    })
    app.addHook('onRequest', (_request, reply, next) => {
      if (active) reply.header('connection', 'close')
      next()
    })
    app.addHook('preClose', async () => {
      active = true
      const { drainAcceptMs, drainTimeoutMs } = app.config
      // Between two requests a busy router may have no connection at all: only one without any for a while has no clients.
      const isUsed = sockets.size > 0 || performance.now() - lastClosedAt < drainAcceptMs
      if (isUsed && drainAcceptMs > 0) await new Promise((resolve) => setTimeout(resolve, drainAcceptMs))
      // Not the close of the HTTP server: that one ends idle connections too, and a new one is idle until it is read.
      if (app.server.listening) Server.prototype.close.call(app.server)
      if (sockets.size > 0 && drainAcceptMs > 0) {
        await new Promise<void>((resolve) => {
          onLastSocket = resolve
          timers.push(setTimeout(resolve, firstRequestMs))
        })
      }
      // Clients open some connections ahead of need; Node waits for the first byte of each of them.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
      // `server.close()` looks for idle sockets once; a stream that ends later would keep its socket until its timeout.
      closingIdle = setInterval(() => app.server.closeIdleConnections(), closeIdleMs)
      const error = new RouterError('overloaded', 'The router is shutting down', {
        code: 'shutting_down',
        retryAfterSeconds: 1,
      })
      timers.push(
        setTimeout(() => app.exchanges.abortAll(error), drainTimeoutMs),
        setTimeout(() => app.server.closeAllConnections(), drainTimeoutMs + lastWordsMs),
      )
    })
    app.addHook('onClose', (_instance, closed) => {
      clearInterval(closingIdle)
      for (const timer of timers) clearTimeout(timer)
      closed()
    })
    done()
  },
  { name: 'drain', dependencies: ['config', 'exchange'] },
)
