import type { Target } from '../../sdk/target.ts'
import type { Failure } from './upstream-failure.ts'

/** An attempt from its dispatch on, as those see it who judge servers by how long attempts wait. */
export interface WatchedAttempt {
  target: Target
  /** Who asks: the id of a client's key, or an address. */
  client: string
  promptBytes: number
  /** Whether its first content can be seen when it comes; that of a whole answer cannot. */
  isVisible: boolean
  /** Ends it with this failure, unless its first content has come. */
  giveUp(failure: Failure): void
}

export interface AttemptWait {
  /** Its first content has come. */
  content(): void
  /** It is over. `givenUp`: without an answer, because its client left or it took too long. Later calls do nothing. */
  end(givenUp: boolean): void
}

export interface AttemptWatch {
  begin(attempt: WatchedAttempt): AttemptWait
}
