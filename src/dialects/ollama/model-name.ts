import { scanObject } from '../../lib/json/splice.ts'
import { lineJson } from './lines.ts'

/**
 * Puts the client's name of the model in place of the upstream's, line by line. Ollama starts each line the same way,
 * `{"model":"...",`, so after the first line a comparison of those bytes is enough; a line that starts otherwise is
 * looked through.
 */
export class ModelName {
  readonly #name: Buffer
  /** A line's beginning up to the end of the model's name, and where the name begins in it. */
  #learned: { head: Buffer; nameStart: number } | undefined
  #same = false

  constructor(name: string) {
    this.#name = Buffer.from(lineJson(name))
  }

  /** The line in pieces; a line without a model stays as it is. Takes an unfinished line too. */
  replaceIn(line: Buffer): Buffer[] {
    if (this.#same) return [line]
    const known = this.#learned
    if (known && line.length >= known.head.length && known.head.compare(line, 0, known.head.length) === 0) {
      return this.#spliced(line, known.nameStart, known.head.length)
    }
    const found = modelOf(line)
    if (!found) return [line]
    const { start, end } = found
    if (!known) {
      this.#same = this.#name.equals(line.subarray(start, end))
      this.#learned = { head: Buffer.from(line.subarray(0, end)), nameStart: start }
    }
    return this.#spliced(line, start, end)
  }

  #spliced(line: Buffer, start: number, end: number): Buffer[] {
    return [line.subarray(0, start), this.#name, line.subarray(end)]
  }
}

const beginning = /^\ufeff?\s*\{\s*"model"\s*:\s*("(?:[^"\\]|\\.)*")/

/** Where the value of the top-level `model` stands. */
function modelOf(line: Buffer): { start: number; end: number } | undefined {
  const offset = line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? 3 : 0
  const member = scanObject(line, offset)?.members.find(({ key }) => key === 'model')
  if (member) return { start: member.valueStart, end: member.valueEnd }
  // The first part of a line let through before its end is no object yet.
  const name = beginning.exec(line.toString('utf8', 0, 1024))
  if (!name?.[1]) return undefined
  const end = Buffer.byteLength(name[0])
  return { start: end - Buffer.byteLength(name[1]), end }
}
