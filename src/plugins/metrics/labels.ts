import type { RouterError } from '../../sdk/errors.ts'

/** Upper bounds in seconds, up to ten minutes: model responses take that long. */
export const durationBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
]

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Limits the label to common methods: Node accepts over thirty, and a client can send any of them. */
export function methodLabel(method: string): string {
  return methods.has(method) ? method : 'other'
}

/** Maps an error to one of a few label values; an upstream's message must never become a label. */
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
  // Error codes of system sockets and of undici.
  if (/^(?:E[A-Z]+|UND_ERR_\w+|\w*SocketError)$/.test(cause)) return 'connection_error'
  return 'server_error'
}
