import { hashOfText } from '../../lib/rolling-hash.ts'

export interface SessionState {
  /** Id of the target that the session used last. */
  target: string
  /** Tokens of its last prompt. */
  tokens: number
  /** Its requests hold only what is new: the rest is in the answer that they continue. */
  isContinued: boolean
}

/** The session of one client; ids of several clients may be the same. */
export function sessionKey(client: string, session: string): number {
  return hashOfText(`${client}\0${session}`)
}

/** More sessions than one model's targets hold in their caches. */
const maxSessions = 20_000

/** Where the sessions of one model were last, the least recently used ones forgotten. */
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
