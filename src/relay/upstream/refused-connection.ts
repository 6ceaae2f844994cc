import { connect } from 'node:net'
import type { Target } from '../../sdk/target.ts'

/** A server that is there accepts at once; the answer is waited for by a client. In milliseconds. */
const timeoutMs = 1_000
/** A process that ends may still accept in the system's name: the connection is then closed right away. In milliseconds. */
const settleMs = 50

/**
 * Whether a target's server refuses a new connection now: its process is gone. False where that cannot be told: for embedded
 * targets, which have no address, and behind a proxy.
 */
export function refusesConnections({ origin, connection }: Target): Promise<boolean> {
  const url = URL.parse(origin)
  if (!url || connection?.proxy !== undefined) return Promise.resolve(false)
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs })
    let settling: NodeJS.Timeout | undefined
    const end = (refused: boolean): void => {
      clearTimeout(settling)
      resolve(refused)
      socket.destroy()
    }
    socket.on('connect', () => {
      settling = setTimeout(() => end(false), settleMs)
    })
    socket.on('timeout', () => end(false))
    // Also the end of a connection that was accepted a moment ago.
    socket.on('error', (error) => end(isRefusal(error)))
    socket.on('end', () => end(true))
  })
}

function isRefusal(error: Error): boolean {
  const code = 'code' in error ? error.code : undefined
  return code === 'ECONNREFUSED' || code === 'ECONNRESET'
}
