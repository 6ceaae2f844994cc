import { hashOfText } from '../../lib/rolling-hash.ts'

export interface SessionState {
  /** Id of the target that the session used last. */
  target: string
  /** Tokens of its last prompt. */
  tokens: number
  /** Its requests contain only new content: the rest is in the response that they continue. */
  isContinued: boolean
}

/** The session of one client; ids of several clients may be the same. */
export function sessionKey(client: string, session: string): number {
  return hashOfText(`${client}\0${session}`)
}

/** More sessions than one model's targets hold in their caches. */
const maxSessions = 20_000

/** Last target of each session of one model; the least recently used ones are evicted. */
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
