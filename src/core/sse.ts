import { LineSplitter } from './lines.ts'

export interface SseEvent {
  /** The `event:` field; empty when there was none. */
  event: string
  /** The `data:` lines, joined by line feeds. */
  data: string
}

/**
 * Reads server-sent events from bytes cut anywhere. Format: WHATWG HTML, section "Server-sent events". Comments,
 * `id` and `retry` are skipped; events without data are not reported.
 */
export class SseReader {
  readonly #lines = new LineSplitter({ loneCr: true })
  #event = ''
  #data: string | undefined

  push(chunk: Uint8Array, onEvent: (event: SseEvent) => void): void {
    this.#lines.push(chunk, (line) => this.#line(line, onEvent))
  }

  /** An event whose closing empty line never came is still read: some servers cut the last line break. */
  end(onEvent: (event: SseEvent) => void): void {
    const rest = this.#lines.rest()
    if (rest !== undefined) this.#line(rest, onEvent)
    this.#dispatch(onEvent)
  }

  #line(line: string, onEvent: (event: SseEvent) => void): void {
    if (line === '') {
      this.#dispatch(onEvent)
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon === -1 ? line : line.slice(0, colon)
    let value = colon === -1 ? '' : line.slice(colon + 1)
    if (value.startsWith(' ')) value = value.slice(1)
    if (field === 'data') this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`
    else if (field === 'event') this.#event = value
  }

  #dispatch(onEvent: (event: SseEvent) => void): void {
    const event = this.#event
    const data = this.#data
    this.#event = ''
    this.#data = undefined
    if (data !== undefined) onEvent({ event, data })
  }
}
