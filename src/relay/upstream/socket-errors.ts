import { ConnectError } from '../../lib/connect-error.ts'
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
