import type { CheckedState } from '../../sdk/target.ts'
import type { CheckOutcome, CheckResult } from './health-check.ts'

export interface ServerWatch {
  /** Asks once; see `checkHealth`. */
  ask(): { result: Promise<CheckOutcome>; stop(): void }
  /** What is known of the server so far. */
  state: CheckedState
  /** Between two checks, in milliseconds; with a jitter of a fifth. */
  intervalMs: number
  /** 0 (included) to 1 (excluded). */
  random(): number
  /** Monotonic milliseconds. */
  now(): number
  /** When a request last had its first content from the server, on the clock of `now`. */
  lastContentAt(): number
  onChange(state: CheckedState): void
}

/** While a server changes its state it is looked at more often, in milliseconds. */
const transitionMs = 1_000

/** Asks a server again and again, and tells when its state changes. Gives the way to stop. */
export function watchServer(watch: ServerWatch): () => void {
  const { ask, intervalMs, random, now, lastContentAt, onChange } = watch
  const soonMs = Math.min(transitionMs, intervalMs)
  const server = new Reachability(watch.state)
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let stopCheck: (() => void) | undefined
  const next = (ms: number): void => {
    if (!stopped) timer = setTimeout(() => void look(), ms)
  }
  const look = async (): Promise<void> => {
    const since = now()
    const check = ask()
    stopCheck = check.stop
    const { result } = await check.result
    stopCheck = undefined
    if (stopped) return
    const before = server.state
    // An engine at its limit may be too busy for its checks, and still answer: vLLM's can take half a minute.
    const isAlive =
      (result === 'timeout' || result === 'failed' || result === 'refused') && lastContentAt() >= since
    if (result !== undefined) server.add(isAlive ? 'passed' : result)
    if (server.state !== before) onChange(server.state)
    next((server.isChanging ? soonMs : intervalMs) * (0.8 + 0.4 * random()))
  }
  // At once, but not all servers in the same moment.
  next(soonMs * random())
  return () => {
    stopped = true
    clearTimeout(timer)
    stopCheck?.()
  }
}

/** Failed checks in a row after which a server is down. A refused connection leaves less doubt than a slow answer. */
const refusedToFall = 2
const failedToFall = 3
/** Passed checks in a row that bring back a server that answered badly or not at all. */
const passedToRise = 2

/** What a series of health checks says of a server. It is set and ended by checks alone. */
export class Reachability {
  #state: CheckedState
  /** The last failed checks, newest last, since one passed. */
  #failed: CheckResult[] = []
  #passed = 0

  constructor(state: CheckedState) {
    this.#state = state
  }

  get state(): CheckedState {
    return this.#state
  }

  /** Whether the next check may change the state, so that it should come soon. */
  get isChanging(): boolean {
    const { state } = this
    if (state === 'doubtful' || state === 'refused' || state === 'loading') return true
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
    // A server that accepts connections again has been started anew, and needs no second look.
    const isSick = this.#isDown && this.#state !== 'refused'
    if (!isSick || this.#passed >= passedToRise) this.#become('up')
  }

  #fail(result: 'refused' | 'timeout' | 'failed'): void {
    this.#passed = 0
    this.#failed = [...this.#failed, result].slice(-failedToFall)
    const failed = this.#failed
    const refused = failed.slice(-refusedToFall)
    if (refused.length === refusedToFall && refused.every((each) => each === 'refused'))
      this.#state = 'refused'
    else if (failed.length === failedToFall) this.#fall(failed)
    else if (this.#state === 'up') this.#state = 'doubtful'
  }

  #fall(failed: readonly CheckResult[]): void {
    if (failed.every((each) => each === 'timeout')) this.#state = 'silent'
    // One refused connection among timeouts says nothing new of a server that is down.
    else if (failed.includes('failed') || !this.#isDown) this.#state = 'failing'
  }

  #become(state: CheckedState): void {
    this.#state = state
    this.#failed = []
    this.#passed = 0
  }
}
