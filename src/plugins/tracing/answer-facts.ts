/** What the bytes of an upstream's answer say about it, in its own words. */
export interface AnswerFacts {
  id?: string
  model?: string
  finishReasons: string[]
}

/** The names for the same by dialect; vLLM has a `stop_reason` too, which is a text of the client's. */
const reasonKeys: Readonly<Record<string, string>> = { anthropic: '"stop_reason"', ollama: '"done_reason"' }
const openaiReasonKey = '"finish_reason"'
const modelKey = Buffer.from('"model"')
const idKey = Buffer.from('"id"')
/** Tool calls have ids too; the answer's own begin like this. */
const answerId = /^(?:chatcmpl|cmpl|msg|resp)[-_]/
const maxValueBytes = 256
/** A key and its value may be cut apart: so much of what came before is looked at again. */
const tailBytes = maxValueBytes + 64
/** What is looked for stands at the beginning and at the end; between them may be megabytes of vectors. */
const maxLookedAtBytes = 64 * 1024
const quote = 0x22
const maxReasons = 16

/**
 * Looks for a few members in an answer that goes by, in whatever dialect. It searches and does not parse: for traces this is
 * near enough, and a stream must not be parsed twice. A word within a text has its quotes escaped, so it is never found.
 */
export class AnswerScan {
  readonly facts: AnswerFacts = { finishReasons: [] }
  readonly #reasonKey: Buffer
  #tail: Buffer = Buffer.alloc(0)

  /** `dialect`: what the upstream speaks. */
  constructor(dialect: string) {
    this.#reasonKey = Buffer.from(reasonKeys[dialect] ?? openaiReasonKey)
  }

  push(chunk: Buffer): void {
    if (chunk.length > 2 * maxLookedAtBytes) {
      this.#look(chunk.subarray(0, maxLookedAtBytes))
      this.#tail = Buffer.alloc(0)
      this.#look(chunk.subarray(-maxLookedAtBytes))
    } else {
      this.#look(chunk)
    }
  }

  #look(chunk: Buffer): void {
    const { facts } = this
    const known = this.#tail.length
    const bytes = known === 0 ? chunk : Buffer.concat([this.#tail, chunk])
    if (facts.model === undefined) {
      const [model] = valuesOf(bytes, modelKey, known)
      if (model !== undefined) facts.model = model
    }
    if (facts.id === undefined) {
      const id = valuesOf(bytes, idKey, known).find((value) => answerId.test(value))
      if (id !== undefined) facts.id = id
    }
    for (const reason of valuesOf(bytes, this.#reasonKey, known)) {
      if (facts.finishReasons.length < maxReasons) facts.finishReasons.push(reason)
    }
    // Copied: a slice would keep the whole network chunk.
    this.#tail = Buffer.from(bytes.subarray(-tailBytes))
  }
}

/** The texts that are values of this key and end behind `known`: those that end before were found then. */
function valuesOf(bytes: Buffer, key: Buffer, known: number): string[] {
  const values: string[] = []
  for (let at = bytes.indexOf(key); at !== -1; at = bytes.indexOf(key, at + key.length)) {
    const start = valueAt(bytes, at + key.length)
    if (start === undefined) continue
    const end = bytes.indexOf(quote, start)
    if (end >= known && end > start && end - start <= maxValueBytes)
      values.push(bytes.toString('utf8', start, end))
  }
  return values
}

/** Where the text begins that follows a key; undefined for what is no text. */
function valueAt(bytes: Buffer, from: number): number | undefined {
  const { length = 0 } = /^\s*:\s*"/.exec(bytes.toString('latin1', from, from + 16))?.[0] ?? ''
  return length === 0 ? undefined : from + length
}
