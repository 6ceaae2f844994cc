import type { ClientPipe } from '../answer/client-stream.ts'

/** Applies the client's backpressure to the upstream. */
export class ClientBackpressure {
  readonly #onChange: (isSlow: boolean) => void
  #isWaiting = false

  constructor(onChange: (isSlow: boolean) => void) {
    this.#onChange = onChange
  }

  waitFor(client: Pick<ClientPipe, 'onDrain'>): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#onChange(true)
    client.onDrain(() => {
      this.#isWaiting = false
      this.#onChange(false)
    })
  }
}
