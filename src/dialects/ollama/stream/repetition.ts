import { isObject, type JsonObject, parseObject, textOf } from '../../../lib/json/read.ts'
import { generateAsMessage } from '../response/fields-read.ts'

/** Length of the end of the text that is searched for repetition. */
const maxTail = 256
/** The engine stops after 31 equal tokens, which its parsers may combine into fewer pieces. */
const minRepeats = 3

/**
 * Detects whether the last pieces of an answer repeat each other: Ollama ends such an answer cleanly, but without `done` (its
 * limit on repeated tokens). Any other answer without `done` was truncated.
 */
export class Repetition {
  #last: string | undefined
  #repeats = 0
  #tail = ''

  add(answer: JsonObject): void {
    const message = answer.message ?? generateAsMessage(answer)
    if (!isObject(message)) return
    const piece = (textOf(message.thinking) ?? '') + (textOf(message.content) ?? '')
    const words = piece.trim()
    this.#repeats = words === this.#last ? this.#repeats + 1 : 1
    this.#last = words
    this.#tail = (this.#tail + piece).slice(-maxTail)
  }

  /** The same for the lines of a stream, the first of which may be truncated. */
  addLines(bytes: Buffer): void {
    for (const line of bytes.toString().split('\n')) {
      const answer = parseObject(line)
      if (answer) this.add(answer)
    }
  }

  get isDetected(): boolean {
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
