import { isObject, parseObject, textOf } from '../../../lib/json/read.ts'
import { generated } from '../response/fields-read.ts'

/** The end of a text is compared up to this many characters. */
const maxTail = 256
/** The engine stops at 31 equal tokens; its parsers make fewer pieces of them. */
const minRepeats = 3

/**
 * Whether the last pieces of an answer say the same again and again: then Ollama ends it cleanly, without `done` (its limit on
 * repeated tokens). An answer that ends so in other words was cut on its way.
 */
export class Repetition {
  #last: string | undefined
  #repeats = 0
  #tail = ''

  add(answer: Record<string, unknown>): void {
    const message = answer.message ?? generated(answer)
    if (!isObject(message)) return
    const piece = (textOf(message.thinking) ?? '') + (textOf(message.content) ?? '')
    const words = piece.trim()
    this.#repeats = words === this.#last ? this.#repeats + 1 : 1
    this.#last = words
    this.#tail = (this.#tail + piece).slice(-maxTail)
  }

  /** The same for the lines of a stream, the first of which may have been cut. */
  addLines(bytes: Buffer): void {
    for (const line of bytes.toString().split('\n')) {
      const answer = parseObject(line)
      if (answer) this.add(answer)
    }
  }

  get isSeen(): boolean {
    return this.#repeats >= minRepeats || endsInRepeats(this.#tail)
  }
}

/** Whether a text ends in repetitions of one unit. */
function endsInRepeats(text: string): boolean {
  // A unit may begin with a space that the first one of a text lacks.
  const padded = ` ${text.trimEnd()}`
  for (let length = 1; length * minRepeats <= padded.length; length++) {
    const unit = padded.slice(-length)
    if (padded.endsWith(unit.repeat(minRepeats))) return true
  }
  return false
}
