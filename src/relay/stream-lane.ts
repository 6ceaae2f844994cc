import type { PassthroughState } from '../core/dialect.ts'

/**
 * What turns upstream bytes into client bytes, either untouched (the identity lane) or by way of events. It gives
 * whole events only, so an error may follow whatever it gave.
 */
export interface StreamLane {
  readonly state: PassthroughState
  push(chunk: Buffer): Buffer | undefined
  /** The upstream closed cleanly: sets `state.ended` or `state.failure`. */
  end(): Buffer | undefined
}
