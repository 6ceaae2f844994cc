import { LineSplitter, maxLineBytes } from './lines.ts'

/** An SSE comment, which clients ignore. */
export const keepAliveComment = ': keep-alive\n\n'

export interface SseEvent {
  /** The `event:` field; empty if there is none. */
  event: string
  /** The `data:` lines, joined by line feeds. */
  data: string
}

/**
 * Reads server-sent events from chunks split at any byte. Format: WHATWG HTML, section "Server-sent events". Comments, `id` and
 * `retry` are skipped; events without data are not reported. Throws RangeError if an event is too long.
 */
export class SseReader {
  readonly #maxBytes: number
  readonly #lines: LineSplitter
  #event = ''
  #data: string | undefined

  /** `maxBytes`: approximate limit for an incomplete event. */
  constructor(maxBytes = maxLineBytes) {
    this.#maxBytes = maxBytes
    this.#lines = new LineSplitter({ loneCr: true, maxBytes })
  }

  push(chunk: Uint8Array, onEvent: (event: SseEvent) => void): void {
    this.#lines.push(chunk, (line) => this.#line(line, onEvent))
    if (this.#data !== undefined && this.#data.length > this.#maxBytes) throw new RangeError('event too long')
  }

  /** Reports an event without its terminating empty line too: some servers omit the last line break. */
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
