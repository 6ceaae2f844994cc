/** A piece of a stream: an event with the bytes around its JSON text, or bytes between events. */
export interface Frame {
  readonly before: string
  /** The JSON text of an event; undefined: there is none. */
  readonly json: string | undefined
  readonly after: string
  /** Whether the stream ends with it. */
  readonly isEnd?: boolean
}

/** Cuts a stream into its events. */
export interface Framing {
  push(text: string): Frame[]
  /** The text after the last complete event. */
  unfinishedText(): string
  /** Ends the stream and returns that text as events; anything else in it is dropped. */
  finish(): Frame[]
  /** Formats an event that the router adds. `isFirst`: no event has been sent. */
  formatEvent(json: string, options: { isFirst: boolean; name: string | undefined }): string
  /** Formats the end of a stream that the router ends; absent: this form has none. */
  close?(): string
  /** Formats another JSON text like an event that was sent. */
  formatLike(sent: Frame, json: string): string
}

/** Maximum length of one event, in characters. */
const maxEventLength = 32 * 1024 * 1024

function withinLimit(pending: string): string {
  if (pending.length > maxEventLength) throw new RangeError('event too long')
  return pending
}

/** Server-sent events whose data is a JSON text. */
export class EventFraming implements Framing {
  #pending = ''

  push(text: string): Frame[] {
    const all = this.#pending + text
    const frames: Frame[] = []
    let from = 0
    for (const { 0: gap, index } of all.matchAll(/\r\n\r\n|\n\n|\r\r/g)) {
      if (index < from) continue
      frames.push(eventFrame(all.slice(from, index + gap.length)))
      from = index + gap.length
    }
    this.#pending = withinLimit(all.slice(from))
    return frames
  }

  unfinishedText(): string {
    return this.#pending
  }

  formatLike({ before, after }: Frame, json: string): string {
    return before.replace(/(?<![^\r\n])(?:id|retry):[^\r\n]*\r?\n/g, '') + json + after
  }

  finish(): Frame[] {
    const rest = this.#pending
    this.#pending = ''
    return rest.trim() === '' ? [] : [eventFrame(`${rest}\n\n`)]
  }

  formatEvent(json: string, { name }: { name: string | undefined }): string {
    return `${name === undefined ? '' : `event: ${name}\n`}data: ${json}\n\n`
  }
}

/** Without `^`, `$` and `.`: for them, U+2028 and U+2029 end a line too, and JSON text may contain both. */
const dataLine = /(?<![^\r\n])data(?:: ?|(?=[\r\n]))([^\r\n]*)/g

function eventFrame(event: string): Frame {
  const lines = [...event.matchAll(dataLine)]
  const [first] = lines
  if (!first) return { before: event, json: undefined, after: '' }
  const data = lines.map(([, value]) => value).join('\n')
  if (!data.trimStart().startsWith('{'))
    return { before: event, json: undefined, after: '', isEnd: data.trim() === '[DONE]' }
  const last = lines.at(-1) ?? first
  return {
    before: `${event.slice(0, first.index)}data: `,
    json: data,
    after: event.slice(last.index + last[0].length),
  }
}

/** One JSON text per line. */
export class LineFraming implements Framing {
  #pending = ''

  push(text: string): Frame[] {
    const lines = (this.#pending + text).split('\n')
    this.#pending = withinLimit(lines.pop() ?? '')
    return lines.map((line) =>
      line.trim().startsWith('{')
        ? { before: '', json: line, after: '\n' }
        : { before: `${line}\n`, json: undefined, after: '' },
    )
  }

  unfinishedText(): string {
    return this.#pending
  }

  formatLike(_sent: Frame, json: string): string {
    return `${json}\n`
  }

  finish(): Frame[] {
    return this.push('\n').filter(({ json }) => json !== undefined)
  }

  formatEvent(json: string): string {
    return `${json}\n`
  }
}

/** The elements of one JSON array. */
export class ArrayFraming implements Framing {
  #pending = ''

  push(text: string): Frame[] {
    let all = this.#pending + text
    const frames: Frame[] = []
    for (;;) {
      const start = all.indexOf('{')
      const end = start === -1 ? -1 : objectEnd(all, start)
      if (end === -1) break
      frames.push({ before: all.slice(0, start), json: all.slice(start, end), after: '' })
      all = all.slice(end)
    }
    this.#pending = withinLimit(all)
    if (!all.includes('{') && all !== '') {
      frames.push({ before: all, json: undefined, after: '', isEnd: all.includes(']') })
      this.#pending = ''
    }
    return frames
  }

  unfinishedText(): string {
    return this.#pending
  }

  formatLike(_sent: Frame, json: string): string {
    return `,\r\n${json}`
  }

  finish(): Frame[] {
    return []
  }

  formatEvent(json: string, { isFirst }: { isFirst: boolean }): string {
    return `${isFirst ? '[' : ',\r\n'}${json}`
  }

  close(): string {
    return ']'
  }
}

/** Offset after the object that begins at `from`; -1 if it is incomplete. */
function objectEnd(text: string, from: number): number {
  let depth = 0
  let inString = false
  for (let at = from; at < text.length; at++) {
    const character = text[at]
    if (inString) {
      if (character === '\\') at++
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '{' || character === '[') depth++
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1
  }
  return -1
}
