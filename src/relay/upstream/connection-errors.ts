import { connect } from 'node:net'
import { ConnectError } from '../../lib/connect-error.ts'
import { withoutBrackets } from '../../lib/host-addresses.ts'
import type { Target } from '../../sdk/target.ts'
import { refusedAddressCode } from './checked-lookup.ts'

const connectCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  refusedAddressCode,
])

/** Codes of a socket closed by its server. */
const closeCodes = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** Not caused by the target, so another target would not help. */
const ownCodes = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'])

/** Whether the router ran out of file descriptors, memory or buffers. */
export function isOwnError(error: Error): boolean {
  return ownCodes.has(socketCode(error))
}

/** Whether no connection was established, so no server has seen the request. */
export function isUnreachable(error: Error): boolean {
  return connectCodes.has(socketCode(error)) || error instanceof ConnectError
}

/** Whether the server closed the connection. */
export function isClose(error: Error): boolean {
  return closeCodes.has(socketCode(error))
}

/** The code of a socket or protocol error; its name if it has no code. */
export function socketCode(error: Error): string {
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'string') return code
  // A host with several addresses fails with an AggregateError; any of its errors gives the reason.
  if (error instanceof AggregateError) {
    const first: unknown = error.errors[0]
    if (first instanceof Error) return socketCode(first)
  }
  return error.name
}

/** A running server accepts immediately, and a client is waiting for the result. In milliseconds. */
const timeoutMs = 1_000
/** The kernel may still accept connections for a process that is exiting, and closes them right away. In milliseconds. */
const settleMs = 50

/**
 * Whether a target's server refuses new connections, so its process is gone. False if that cannot be determined: for embedded
 * targets, which have no address, and behind a proxy.
 */
export function refusesConnections({ origin, connection }: Target): Promise<boolean> {
  const url = URL.parse(origin)
  if (!url || connection?.proxy !== undefined) return Promise.resolve(false)
  const port = connection?.port ?? (Number(url.port) || (url.protocol === 'https:' ? 443 : 80))
  const host = connection?.address ?? withoutBrackets(url.hostname)
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
    // Includes the close of a connection that was accepted a moment ago.
    socket.on('error', (error) => end(isRefusal(error)))
    socket.on('end', () => end(true))
  })
}

function isRefusal(error: Error): boolean {
  const code = 'code' in error ? error.code : undefined
  return code === 'ECONNREFUSED' || code === 'ECONNRESET'
}
