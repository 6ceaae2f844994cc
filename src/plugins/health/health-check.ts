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
  /** Whether to ask, after a passed check, if the engine sleeps; only where the target has a path for it. */
  asksSleep?: boolean
}

/** How one health check ended. `refused`: no connection could be made. `failed`: a 5xx, or no HTTP answer. */
export type CheckResult = 'passed' | 'refused' | 'timeout' | 'failed' | 'loading' | 'asleep'

export interface CheckOutcome {
  /** Undefined where the router itself could not ask. */
  result: CheckResult | undefined
  /** The server does not know the question whether it sleeps. */
  cannotSleep?: boolean
}

/** Of an answer only the beginning matters. */
const maxBodyBytes = 4 * 1024
/** Servers that have this path answer it with 503 while they load. */
const readyPath = /\/health\/ready(?:\?|$)/

/**
 * Asks a server for a sign of life. It passes when it answers with anything but 5xx within the time: a server that refuses
 * the path or the key is there, and what it makes of real requests these will tell.
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
    if (result !== 'passed' || sleepPath === undefined || check.asksSleep === false) return { result }
    const answer = await ask(sleepPath)
    if (answer.type !== 'answered') return { result }
    if (answer.status === 404) return { result, cannotSleep: true }
    return { result: answer.status === 200 && saysAsleep(answer.text) ? 'asleep' : result }
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

function saysAsleep(text: string): boolean {
  try {
    const { is_sleeping: isSleeping }: { is_sleeping?: unknown } = Object(JSON.parse(text))
    return isSleeping === true
  } catch {
    return false // some other server's page
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
  // A status counts also where its body does not come.
  const timeOut = (): void => end(status === 0 ? { type: 'timeout' } : { type: 'answered', status, text })
  const timer = setTimeout(timeOut, timeoutMs)
  const headers = { 'user-agent': userAgent, ...target.type.authHeaders(target.token) }
  const request = {
    ...({ origin: target.origin, path, method: 'GET', headers, body: Buffer.alloc(0) } as const),
    // Over a kept-alive one a server that refuses connections would go on passing its checks.
    freshSocket: true,
  }
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
