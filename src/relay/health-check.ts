import type { Target } from '../core/target.ts'
import type { Transport, UpstreamCall } from '../core/transport.ts'
import { isOwnFault } from './upstream-failure.ts'

export interface HealthCheck {
  target: Target
  path: string
  transport: Transport
  timeoutMs: number
  userAgent: string
}

/**
 * Asks a target for a sign of life: true when it answers with anything but 5xx within the time. A server that refuses the
 * path or the key is there; what it makes of real requests, these will tell. Undefined where the router itself could not ask.
 */
export function checkHealth({ target, path, transport, timeoutMs, userAgent }: HealthCheck): {
  result: Promise<boolean | undefined>
  stop(): void
} {
  const { promise, resolve } = Promise.withResolvers<boolean | undefined>()
  let call: UpstreamCall | undefined
  const end = (healthy: boolean | undefined): void => {
    clearTimeout(timer)
    call?.abort()
    resolve(healthy)
  }
  const timer = setTimeout(() => end(false), timeoutMs)
  const headers = { 'user-agent': userAgent, ...target.type.authHeaders(target.token) }
  const request = { origin: target.origin, path, method: 'GET', headers, body: Buffer.alloc(0) } as const
  call = transport.open(request, {
    onHeaders: (status) => end(status < 500),
    onData: () => undefined,
    onEnd: () => end(false),
    onError: (error) => end(isOwnFault(error) ? undefined : false),
  })
  return { result: promise, stop: () => end(false) }
}
