import { lastEventEnd, nextEventEnd } from '../../lib/bytes/sse-search.ts'
import { scanObject } from '../../lib/json/splice.ts'
import { PlainEvents } from './plain-events.ts'
import { isFilledString } from './stream-bytes.ts'

const modelKey = Buffer.from('"model"')
const openBrace = 0x7b

interface Renaming {
  /** `"model":"upstream"` just as the upstream writes it. */
  sent: Buffer
  /** Undefined where both names are the same. */
  told: Buffer | undefined
}

/**
 * Puts the client's name of the model in the place of the upstream's. How the upstream writes the member is learned from
 * the first event that has it, so that later events need a search only. The quotes make that search safe: inside a JSON
 * string they would be escaped.
 */
export class ModelRenamer {
  readonly #alias: Buffer
  readonly #plain = new PlainEvents()
  #renaming: Renaming | undefined

  constructor(alias: string) {
    this.#alias = Buffer.from(JSON.stringify(alias))
  }

  /** The chunk where a look shows that it needs no other treatment; undefined where it may. */
  renamePlain(chunk: Buffer): Buffer | undefined {
    return this.#plain.rename(chunk)
  }

  rename(bytes: Buffer): Buffer {
    this.#renaming ??= this.#learn(bytes)
    if (this.#renaming === undefined) return bytes
    const { sent, told } = this.#renaming
    const first = bytes.indexOf(sent)
    if (first !== -1) this.#plain.learn(bytes, { start: first, end: first + sent.length, told })
    if (!told) return bytes
    const pieces: Buffer[] = []
    let from = 0
    for (let at = first; at !== -1; at = bytes.indexOf(sent, from)) {
      pieces.push(bytes.subarray(from, at), told)
      from = at + sent.length
    }
    if (from === 0) return bytes
    pieces.push(bytes.subarray(from))
    return Buffer.concat(pieces)
  }

  /** An empty name (Azure's first chunk) teaches nothing. */
  #learn(bytes: Buffer): Renaming | undefined {
    for (let at = bytes.indexOf(modelKey); at !== -1; at = bytes.indexOf(modelKey, at)) {
      const object = bytes.indexOf(openBrace, lastEventEnd(bytes, at))
      const member = scanObject(bytes, object)?.members.findLast(({ key }) => key === 'model')
      at = nextEventEnd(bytes, at)
      if (!member || !isFilledString(bytes, member.valueStart)) continue
      const { keyStart, valueStart, valueEnd } = member
      const isSame = this.#alias.equals(bytes.subarray(valueStart, valueEnd))
      return {
        sent: Buffer.from(bytes.subarray(keyStart, valueEnd)),
        told: isSame ? undefined : Buffer.concat([bytes.subarray(keyStart, valueStart), this.#alias]),
      }
    }
    return undefined
  }
}
