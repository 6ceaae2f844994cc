import { hashOfText } from '../../lib/rolling-hash.ts'

export interface SessionState {
  /** Id of the last target of the session. */
  target: string
  /** Tokens of its last prompt. */
  tokens: number
  /** Whether its requests only contain new content, because they continue a stored response. */
  isContinued: boolean
}

/** Hash of client and session id: different clients may use the same session id. */
export function sessionKey(client: string, session: string): number {
  return hashOfText(`${client}\0${session}`)
}

/** More sessions than the caches of one model's targets can hold. */
const maxSessions = 20_000

/** Last target of each session of one model; the least recently used sessions are evicted. */
export class Sessions {
  readonly #states = new Map<number, SessionState>()

  of(key: number): SessionState | undefined {
    return this.#states.get(key)
  }

  set(key: number, state: SessionState): void {
    this.#states.delete(key)
    this.#states.set(key, state)
    if (this.#states.size <= maxSessions) return
    const [oldest] = this.#states.keys()
    if (oldest !== undefined) this.#states.delete(oldest)
  }
}
