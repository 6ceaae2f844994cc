import type { Target } from '../../sdk/target.ts'
import type { AttemptFailure } from './attempt-result.ts'

/** A dispatched attempt, for detecting targets that keep attempts waiting. */
export interface WatchedAttempt {
  target: Target
  /** Id of the client's key, or the client's address. */
  client: string
  promptBytes: number
  /** Whether its first content is visible on arrival; that of a whole response is not. */
  isVisible: boolean
  /** Ends it with this failure, unless its first content has arrived. */
  giveUp(failure: AttemptFailure): void
}

export interface AttemptWait {
  /** Its first content has arrived. */
  content(): void
  /**
   * It has ended. `givenUp`: without a response, because its client disconnected or it took too long. Later calls have no effect.
   */
  end(givenUp: boolean): void
}

export interface AttemptWatch {
  begin(attempt: WatchedAttempt): AttemptWait
}
