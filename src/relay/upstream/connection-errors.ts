import { connect } from 'node:net'
import { ConnectError } from '../../lib/connect-error.ts'
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

/** How a socket ends that its server closes. */
const closeCodes = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** They say nothing about the target, and another one is no better. */
const ownCodes = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'])

/** Whether the router has no more files, memory or buffers. */
export function isOwnError(error: Error): boolean {
  return ownCodes.has(socketCode(error))
}

/** Whether no connection could be made, so that no server there has seen anything of the request. */
export function isUnreachable(error: Error): boolean {
  return connectCodes.has(socketCode(error)) || error instanceof ConnectError
}

/** Whether the server closed the connection. */
export function isClose(error: Error): boolean {
  return closeCodes.has(socketCode(error))
}

/** The code of an error of a socket or of its protocol; its name where it has none. */
export function socketCode(error: Error): string {
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'string') return code
  // A host with several addresses fails with an AggregateError; any of its parts tells why.
  if (error instanceof AggregateError) {
    const first: unknown = error.errors[0]
    if (first instanceof Error) return socketCode(first)
  }
  return error.name
}

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
  const port = connection?.port ?? (Number(url.port) || (url.protocol === 'https:' ? 443 : 80))
  const host = connection?.address ?? url.hostname.replace(/^\[|\]$/g, '')
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
