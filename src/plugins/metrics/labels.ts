import type { RouterError } from '../../sdk/errors.ts'

/** Model answers take minutes: the buckets reach ten, in seconds. */
export const durationBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
]

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Node knows over thirty methods, and a client may send any of them. */
export function methodLabel(method: string): string {
  return methods.has(method) ? method : 'other'
}

/** What went wrong, in one of few words: an upstream's own words must never become a label. */
export function reasonOf({ kind, code, causeCode }: RouterError): string {
  if (code === 'upstream_unreachable') return 'connection_error'
  if (code === 'upstream_auth') return 'auth'
  if (code === 'upstream_truncated') return 'truncated'
  if (code === 'lease_lost') return code
  switch (kind) {
    case 'upstream_timeout':
      return 'timeout'
    case 'overloaded':
      return code === 'queue_full' || code === 'queue_timeout' || code === 'no_healthy_provider' ? code : kind
    case 'upstream_error':
      return reasonOfCause(causeCode ?? '')
    default:
      return kind
  }
}

function reasonOfCause(cause: string): string {
  if (cause === 'INVALID_ANSWER' || cause === 'LINE_TOO_LONG' || cause.startsWith('BAD_'))
    return 'invalid_answer'
  // The names of socket errors, of the system and of undici.
  if (/^(?:E[A-Z]+|UND_ERR_\w+|\w*SocketError)$/.test(cause)) return 'connection_error'
  return 'server_error'
}
