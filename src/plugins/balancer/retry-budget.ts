import type { AttemptBudget } from '../../relay/services.ts'

const windowMs = 10_000
const slots = 10
const slotMs = windowMs / slots

/**
 * Limits the retries of a model's requests: when most requests fail, retrying each of them only multiplies the load on
 * a failing system. Without budget there is no retry, and the client gets the first error.
 */
export class RetryBudget implements AttemptBudget {
  readonly #now: () => number
  #active = 0
  #retrying = 0
  #counts = Array.from({ length: slots }, () => ({ slot: -1, requests: 0, retries: 0 }))

  constructor(now: () => number) {
    this.#now = now
  }

  begin(): () => void {
    this.#active++
    this.#count().requests++
    return () => {
      this.#active--
    }
  }

  retry(): (() => void) | undefined {
    const { requests, retries } = this.#sums()
    const concurrent = this.#retrying < Math.max(3, 0.2 * this.#active)
    const overTime = requests < 100 || retries < 0.1 * requests
    if (!concurrent || !overTime) return undefined
    this.#retrying++
    this.#count().retries++
    return () => {
      this.#retrying--
    }
  }

  #count(): { requests: number; retries: number } {
    const slot = Math.floor(this.#now() / slotMs)
    const index = slot % slots
    const current = this.#counts[index]
    if (current?.slot === slot) return current
    const fresh = { slot, requests: 0, retries: 0 }
    this.#counts[index] = fresh
    return fresh
  }

  #sums(): { requests: number; retries: number } {
    const oldest = Math.floor(this.#now() / slotMs) - slots
    let requests = 0
    let retries = 0
    for (const count of this.#counts) {
      if (count.slot <= oldest) continue
      requests += count.requests
      retries += count.retries
    }
    return { requests, retries }
  }
}
