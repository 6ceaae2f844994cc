import type { PassthroughState } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'

/**
 * What turns upstream bytes into client bytes, either untouched (the identity lane) or by way of events. It gives
 * whole events, but for those that are too long to be held.
 */
export interface StreamLane {
  readonly state: PassthroughState
  push(chunk: Buffer): Buffer | string | undefined
  /** The upstream closed cleanly: sets `state.ended` or `state.failure`. `isComplete`: HTTP's framing says so too. */
  end(isComplete?: boolean): Buffer | string | undefined
  /** What ends an event of which a part went out, so that an error can follow; absent where events go out whole. */
  endTorn?(): string
  /** The in-band error that fits what went by; undefined where the dialect's own does. */
  writeError?(error: RouterError): string | undefined
}
