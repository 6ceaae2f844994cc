export interface ServerWatch {
  /** Asks once; see `checkHealth`. */
  ask(): { result: Promise<boolean | undefined>; stop(): void }
  /** What is known of the server so far. */
  healthy: boolean
  /** Between two checks, in milliseconds; with a jitter of a fifth. */
  intervalMs: number
  /** 0 (included) to 1 (excluded). */
  random(): number
  onChange(healthy: boolean): void
}

/** Checks in a row that must agree before they count. */
const fall = 3
const rise = 2
/** While a server changes its state it is looked at more often, in milliseconds. */
const transitionMs = 1_000

/** Asks a server again and again, and tells when it has gone down or come up. Gives the way to stop. */
export function watchServer({ ask, healthy, intervalMs, random, onChange }: ServerWatch): () => void {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let stopCheck: (() => void) | undefined
  let inRow = 0
  let known = healthy
  const next = (ms: number): void => {
    if (!stopped) timer = setTimeout(() => void look(), ms * (0.8 + 0.4 * random()))
  }
  const look = async (): Promise<void> => {
    const check = ask()
    stopCheck = check.stop
    const alive = await check.result
    stopCheck = undefined
    if (stopped) return
    if (alive !== undefined) inRow = alive === known ? 0 : inRow + 1
    if (inRow >= (known ? fall : rise)) {
      known = !known
      inRow = 0
      onChange(known)
    }
    next(inRow > 0 ? Math.min(transitionMs, intervalMs) : intervalMs)
  }
  next(intervalMs)
  return () => {
    stopped = true
    clearTimeout(timer)
    stopCheck?.()
  }
}
