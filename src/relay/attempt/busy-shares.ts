import type { Target } from '../../sdk/target.ts'

interface ServerClock {
  running: number
  /** Grows by the time that has passed divided by the attempts that ran, in milliseconds. */
  shareMs: number
  updatedAt: number
}

/**
 * Divides the time of each server among the attempts that run at it: while n run, each gets 1/n of it. The sum over all
 * attempts is the time in which the server had work from this process.
 */
export class BusyShares {
  readonly #now: () => number
  readonly #clocks = new Map<string, ServerClock>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** An attempt begins. Call the result once at its end: its share in milliseconds, times the server's accelerators. */
  begin(target: Pick<Target, 'origin' | 'connection' | 'id' | 'gpus'>): () => number {
    const { gpus = 1 } = target
    const server = serverOf(target)
    const clock = this.#clocks.get(server) ?? { running: 0, shareMs: 0, updatedAt: this.#now() }
    this.#clocks.set(server, clock)
    this.#advance(clock)
    const from = clock.shareMs
    clock.running++
    return () => {
      this.#advance(clock)
      clock.running--
      if (clock.running === 0 && this.#clocks.get(server) === clock) this.#clocks.delete(server)
      return (clock.shareMs - from) * gpus
    }
  }

  #advance(clock: ServerClock): void {
    const now = this.#now()
    if (clock.running > 0) clock.shareMs += (now - clock.updatedAt) / clock.running
    clock.updatedAt = now
  }
}

/** Targets of several models may be one server. */
function serverOf({ origin, connection, id }: Pick<Target, 'origin' | 'connection' | 'id'>): string {
  return origin === '' ? id : `${origin} ${connection?.address ?? ''} ${connection?.port ?? ''}`
}
