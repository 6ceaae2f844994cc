import { isOwnError, isUnreachable } from '../../relay/upstream/connection-errors.ts'
import { isLoadingAnswer } from '../../relay/upstream/upstream-answer.ts'
import type { Target } from '../../sdk/target.ts'
import type { OpenRequest, Transport } from '../../sdk/transport.ts'

export interface HealthCheck {
  target: Target
  path: string
  transport: Transport
  timeoutMs: number
  userAgent: string
  /** Whether to query the engine's sleep state after a passed check; requires the target's `sleepPath`. */
  checksSleep?: boolean
}

/** Result of a health check. `refused`: no connection. `failed`: a 5xx, or no valid HTTP response. */
export type CheckResult = 'passed' | 'refused' | 'timeout' | 'failed' | 'loading' | 'asleep'

export interface CheckOutcome {
  /** Undefined if the router itself could not send the request. */
  result: CheckResult | undefined
  /** The server does not know the sleep path. */
  cannotSleep?: boolean
}

/** Only the beginning of a response matters. */
const maxBodyBytes = 4 * 1024
/** Servers with this path return 503 on it while they load. */
const readyPath = /\/health\/ready(?:\?|$)/

/**
 * Sends a health check. It passes on any response below 500 in time: a server that rejects the path or the key is
 * alive, and real requests show whether it works.
 */
export function checkHealth(check: HealthCheck): { result: Promise<CheckOutcome>; stop(): void } {
  let current: ReturnType<typeof get> | undefined
  let stopped = false
  const ask = (path: string): Promise<Answer> => {
    current = get(check, path)
    if (stopped) current.stop()
    return current.answer
  }
  const run = async (): Promise<CheckOutcome> => {
    const result = resultOf(await ask(check.path), check.path)
    const { sleepPath } = check.target
    if (result !== 'passed' || sleepPath === undefined || check.checksSleep === false) return { result }
    const answer = await ask(sleepPath)
    if (answer.type !== 'answered') return { result }
    if (answer.status === 404) return { result, cannotSleep: true }
    return { result: answer.status === 200 && isAsleepAnswer(answer.text) ? 'asleep' : result }
  }
  return {
    result: run(),
    stop: () => {
      stopped = true
      current?.stop()
    },
  }
}

function resultOf(answer: Answer, path: string): CheckResult | undefined {
  switch (answer.type) {
    case 'timeout':
      return 'timeout'
    case 'error':
      if (isOwnError(answer.error)) return undefined
      return isUnreachable(answer.error) ? 'refused' : 'failed'
    case 'answered':
      if (answer.status < 500) return 'passed'
      return readyPath.test(path) || isLoadingAnswer(answer.status, answer.text) ? 'loading' : 'failed'
  }
}

function isAsleepAnswer(text: string): boolean {
  try {
    const { is_sleeping: isSleeping }: { is_sleeping?: unknown } = Object(JSON.parse(text))
    return isSleeping === true
  } catch {
    return false // page of another kind of server
  }
}

type Answer =
  | { type: 'answered'; status: number; text: string }
  | { type: 'timeout' }
  | { type: 'error'; error: Error }

function get(
  { target, transport, timeoutMs, userAgent }: HealthCheck,
  path: string,
): { answer: Promise<Answer>; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  let call: OpenRequest | undefined
  let status = 0
  let text = ''
  const end = (answer: Answer): void => {
    clearTimeout(timer)
    call?.abort()
    resolve(answer)
  }
  // A received status counts even if the body does not arrive.
  const timeOut = (): void => end(status === 0 ? { type: 'timeout' } : { type: 'answered', status, text })
  const timer = setTimeout(timeOut, timeoutMs)
  const headers = { 'user-agent': userAgent, ...target.type.authHeaders(target.token) }
  const request = {
    origin: target.origin,
    path,
    method: 'GET',
    headers,
    body: Buffer.alloc(0),
    // On a kept-alive connection, a server that refuses new connections would still pass its checks.
    freshSocket: true,
  } as const
  call = transport.open(request, {
    onHeaders: (received) => {
      status = received
    },
    onData: (chunk) => {
      text += chunk.toString('latin1')
      if (text.length > maxBodyBytes) end({ type: 'answered', status, text })
    },
    onEnd: () => end({ type: 'answered', status, text }),
    onError: (error) => end(status === 0 ? { type: 'error', error } : { type: 'answered', status, text }),
  })
  return { answer: promise, stop: timeOut }
}
