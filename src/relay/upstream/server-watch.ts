import type { CheckedState } from '../../sdk/target.ts'
import type { CheckOutcome } from './health-check.ts'
import { Reachability } from './reachability.ts'

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
