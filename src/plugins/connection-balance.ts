import type { Socket } from 'node:net'
import fp from 'fastify-plugin'
import { reportConnections } from '../cluster/connections.ts'

/** Multiple of the mean above which a worker closes connections. */
const maxShareOfMean = 1.5
/** A smaller surplus is random variation and not worth a client's reconnect. */
const minSurplus = 4

/**
 * Spreads keep-alive connections over the workers of a cluster. The kernel gives a new connection to whichever worker
 * accepts first, and the client keeps it: without this, one worker can have several times the clients of another for
 * hours. A worker with too many connections sends `Connection: close` with the next responses on idle connections, and
 * their clients reconnect. Measurements: docs/decisions/0001-cluster-scheduling.md.
 */
export default fp(
  (app, _options, done) => {
    if (!app.primary) return done()
    let connections = 0
    let toClose = 0
    const changed = reportConnections(
      app.primary,
      () => connections,
      (mean) => {
        toClose = surplusOf(connections, mean)
      },
    )
    app.server.on('connection', (socket: Socket) => {
      connections++
      changed()
      socket.once('close', () => {
        connections--
        changed()
      })
    })
    app.addHook('onRequest', ({ raw: { socket } }, reply, next) => {
      // Not on the first request of a connection: its client has just connected, perhaps for this reason.
      if (toClose > 0 && socket.bytesWritten > 0) {
        toClose--
        reply.header('connection', 'close')
      }
      next()
    })
    done()
  },
  { name: 'connection-balance', dependencies: ['config', 'drain'] },
)

/** Number of connections that a worker should close. */
function surplusOf(connections: number, mean: number): number {
  const surplus = Math.floor(connections - mean)
  return connections > maxShareOfMean * mean && surplus >= minSurplus ? surplus : 0
}
