import type { PassthroughState } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { ClientPipe } from '../answer/client-stream.ts'
import type { AttemptContext } from './prepared-attempt.ts'

/** Called before the end of a committed stream is written, so the record is complete when the response closes. */
export function noteEnd(
  { services: { exchange }, trace }: AttemptContext,
  { usage, unknownReason, answerId }: PassthroughState,
  error?: RouterError,
): void {
  exchange.addUsage(usage)
  exchange.unknownReason = unknownReason
  exchange.answerId ??= answerId
  trace?.used(usage)
  if (error) exchange.error = error
}

/** Applies the client's backpressure to the upstream. */
export class ClientPace {
  readonly #onChange: (isSlow: boolean) => void
  #waits = false

  constructor(onChange: (isSlow: boolean) => void) {
    this.#onChange = onChange
  }

  waitFor(client: Pick<ClientPipe, 'onDrain'>): void {
    if (this.#waits) return
    this.#waits = true
    this.#onChange(true)
    client.onDrain(() => {
      this.#waits = false
      this.#onChange(false)
    })
  }
}
