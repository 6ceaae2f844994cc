import type { CheckedState } from '../../sdk/target.ts'
import type { CheckOutcome, CheckResult } from './health-check.ts'

export interface ServerWatch {
  /** Sends one health check; see `checkHealth`. */
  check(): { result: Promise<CheckOutcome>; stop(): void }
  /** Initial state of the server. */
  state: CheckedState
  /** Interval between checks in milliseconds; jittered by 20 %. */
  intervalMs: number
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number
  /** Monotonic milliseconds. */
  now(): number
  /** When a request last received first content from the server, on the clock of `now`. */
  lastContentAt(): number
  onChange(state: CheckedState): void
}

/** Check interval while the state is changing, in milliseconds. */
const transitionMs = 1_000

/** Checks a server periodically and reports state changes. Returns a function that stops it. */
export function watchServer(watch: ServerWatch): () => void {
  const { check, intervalMs, random, now, lastContentAt, onChange } = watch
  const soonMs = Math.min(transitionMs, intervalMs)
  const server = new Reachability(watch.state)
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let stopCheck: (() => void) | undefined
  const next = (ms: number): void => {
    if (!stopped) timer = setTimeout(() => void runCheck(), ms)
  }
  const runCheck = async (): Promise<void> => {
    const since = now()
    const running = check()
    stopCheck = running.stop
    const { result } = await running.result
    stopCheck = undefined
    if (stopped) return
    const before = server.state
    // An engine at its limit can be too busy for health checks and still answer requests: vLLM's checks can take half a
    // minute.
    const isAlive =
      (result === 'timeout' || result === 'failed' || result === 'refused') && lastContentAt() >= since
    if (result !== undefined) server.add(isAlive ? 'passed' : result)
    if (server.state !== before) onChange(server.state)
    next((server.isChanging ? soonMs : intervalMs) * (0.8 + 0.4 * random()))
  }
  // Starts soon, but spreads the first checks of all servers.
  next(soonMs * random())
  return () => {
    stopped = true
    clearTimeout(timer)
    stopCheck?.()
  }
}

/** Consecutive failed checks until a server is down. A refused connection is less ambiguous than a slow response. */
const refusalsUntilDown = 2
const failuresUntilDown = 3
/** Consecutive passed checks until a server that failed its checks or timed out is up again. */
const passesUntilUp = 2

/** State of a server according to a series of health checks. Only checks change it. */
export class Reachability {
  #state: CheckedState
  /** Failed checks since the last passed one, newest last. */
  #failed: CheckResult[] = []
  #passed = 0

  constructor(state: CheckedState) {
    this.#state = state
  }

  get state(): CheckedState {
    return this.#state
  }

  /** Whether the next check may change the state, and therefore should run soon. */
  get isChanging(): boolean {
    const { state } = this
    if (state === 'degraded' || state === 'refused' || state === 'loading') return true
    return this.#passed > 0 || (this.#failed.length > 0 && (state === 'up' || state === 'asleep'))
  }

  get #isDown(): boolean {
    return this.#state === 'refused' || this.#state === 'silent' || this.#state === 'failing'
  }

  add(result: CheckResult): void {
    switch (result) {
      case 'passed':
        this.#pass()
        return
      case 'loading':
      case 'asleep':
        this.#become(result)
        return
      case 'refused':
      case 'timeout':
      case 'failed':
        this.#fail(result)
    }
  }

  #pass(): void {
    this.#failed = []
    this.#passed++
    // A server that accepts connections again has been restarted and needs no second check.
    const needsSecondCheck = this.#isDown && this.#state !== 'refused'
    if (!needsSecondCheck || this.#passed >= passesUntilUp) this.#become('up')
  }

  #fail(result: 'refused' | 'timeout' | 'failed'): void {
    this.#passed = 0
    this.#failed = [...this.#failed, result].slice(-failuresUntilDown)
    const failed = this.#failed
    const refused = failed.slice(-refusalsUntilDown)
    if (refused.length === refusalsUntilDown && refused.every((each) => each === 'refused'))
      this.#state = 'refused'
    else if (failed.length === failuresUntilDown) this.#fall(failed)
    else if (this.#state === 'up') this.#state = 'degraded'
  }

  #fall(failed: readonly CheckResult[]): void {
    if (failed.every((each) => each === 'timeout')) this.#state = 'silent'
    // A refused connection among timeouts does not change the state of a server that is already down.
    else if (failed.includes('failed') || !this.#isDown) this.#state = 'failing'
  }

  #become(state: CheckedState): void {
    this.#state = state
    this.#failed = []
    this.#passed = 0
  }
}
