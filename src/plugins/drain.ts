import { Server, type Socket } from 'node:net'
import fp from 'fastify-plugin'
import { RouterError } from '../sdk/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    drain: {
      /** True from the start of the shutdown: readiness fails and responses close their connections. */
      readonly active: boolean
    }
  }
}

/** Time for the first request of a connection that was opened just before the listener closed, in milliseconds. */
const firstRequestMs = 250
/** Interval at which sockets that have become idle are closed, in milliseconds. */
const closeIdleMs = 100
/** Turns of the event loop within which a connection is accepted and its first bytes are read. */
const readTurns = 3
/** Time limit for accepting connections queued in the kernel, in milliseconds: a saturated router would never finish. */
const backlogMs = 1_000
/** Time for sockets to flush after streams were aborted, in milliseconds. */
const flushMs = 2_000

/**
 * Graceful shutdown that drains running requests. `app.close()` first keeps serving for LLM_ROUTER_DRAIN_ACCEPT, so
 * that clients see `connection: close` and move to other connections. Then the listener closes and running responses
 * continue. Those still running at the timeout end with an error in their dialect.
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
      // A busy router can have no connection between two requests. It has no clients only if that lasts for a while.
      const isUsed = sockets.size > 0 || performance.now() - lastClosedAt < drainAcceptMs
      if (isUsed && drainAcceptMs > 0) await new Promise((resolve) => setTimeout(resolve, drainAcceptMs))
      if (drainAcceptMs > 0) await emptyBacklog(app.server)
      // Bypasses `http.Server.close()`, which also closes idle connections: a new connection is idle until its first
      // byte is read.
      if (app.server.listening) Server.prototype.close.call(app.server)
      if (sockets.size > 0 && drainAcceptMs > 0) {
        await new Promise<void>((resolve) => {
          onLastSocket = resolve
          timers.push(setTimeout(resolve, firstRequestMs))
        })
        // After a delay of the event loop, the timer fires before the data that arrived during the delay has been read.
        await turns(readTurns)
      }
      // Clients open some connections in advance. Node would wait for a first byte on each of them.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
      // `server.close()` closes idle sockets only once. The socket of a stream that ends later would stay open until
      // its timeout.
      closingIdle = setInterval(() => {
        // A request that has arrived is read first: after a delay of the event loop, this timer is due before it.
        void turns(1).then(() => app.server.closeIdleConnections())
      }, closeIdleMs)
      const error = new RouterError('overloaded', 'The router is shutting down', {
        code: 'shutting_down',
        retryAfterSeconds: 1,
      })
      timers.push(
        setTimeout(() => app.exchanges.abortAll(error), drainTimeoutMs),
        setTimeout(() => app.server.closeAllConnections(), drainTimeoutMs + flushMs),
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

/**
 * Accepts the connections that are established in the kernel; closing the listener would reset them. Node accepts one
 * in each turn of the event loop.
 */
async function emptyBacklog(server: Server): Promise<void> {
  const end = performance.now() + backlogMs
  let accepted = 0
  const count = (): void => void accepted++
  server.on('connection', count).on('drop', count)
  for (let before = -1; accepted !== before && performance.now() < end; ) {
    before = accepted
    await turns(readTurns)
  }
  server.off('connection', count).off('drop', count)
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
