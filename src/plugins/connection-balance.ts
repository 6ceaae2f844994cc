import type { Socket } from 'node:net'
import fp from 'fastify-plugin'
import { reportConnections } from '../cluster/connections.ts'

/** A worker that holds more than this share of the mean gives connections up. */
const tooMany = 1.5
/** Fewer above the mean are chance, and not worth a client's new connection. */
const leastSurplus = 4

/**
 * Spreads kept-alive connections over the workers of a cluster. The system gives a new connection to whichever worker asks
 * first, and a client keeps it: without this, one worker may have several times the clients of another for hours. A worker
 * with too many answers the next requests on connections that were idle with `Connection: close`; their clients connect anew.
 * docs/decisions/0001-cluster-scheduling.md has what was measured.
 */
export default fp(
  (app, _options, done) => {
    if (!app.primary) return done()
    let held = 0
    let toClose = 0
    const changed = reportConnections(
      app.primary,
      () => held,
      (mean) => {
        toClose = surplusOf(held, mean)
      },
    )
    app.server.on('connection', (socket: Socket) => {
      held++
      changed()
      socket.once('close', () => {
        held--
        changed()
      })
    })
    app.addHook('onRequest', ({ raw: { socket } }, reply, next) => {
      // The first request of a connection: its client has just connected, maybe for this reason.
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

/** How many connections a worker is to give up. */
function surplusOf(held: number, mean: number): number {
  const surplus = Math.floor(held - mean)
  return held > tooMany * mean && surplus >= leastSurplus ? surplus : 0
}
