import type { CheckedState } from '../../sdk/target.ts'

/** How one health check ended. `refused`: no connection could be made. `failed`: a 5xx, or no HTTP answer. */
export type CheckResult = 'passed' | 'refused' | 'timeout' | 'failed' | 'loading' | 'asleep'

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
