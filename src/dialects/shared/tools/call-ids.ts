import { randomBytes } from 'node:crypto'
import { readSignedId } from '../signatures.ts'

/** An id for a tool call without one: a prefix and 24 random characters, in the vendors' form. */
export function randomCallId(prefix: 'call_' | 'toolu_' = 'call_'): string {
  return prefix + randomBytes(12).toString('hex')
}

/** Makes the tool call ids of one response unique: some servers repeat or omit ids. */
export class AnswerCallIds {
  readonly #newId: () => string
  readonly #used = new Set<string>()

  constructor(newId: () => string) {
    this.#newId = newId
  }

  /** `sent` if it is not empty and unused, otherwise a new one. */
  claim(sent: string | undefined): string {
    let id = sent || this.#newId()
    while (this.#used.has(id)) id = this.#newId()
    this.#used.add(id)
    return id
  }
}

interface ConversationCall {
  id: string
  name: string
  answered: boolean
}

/** The tool calls of a conversation, with unique ids: some clients count from zero in each turn and so reuse theirs. */
export class ConversationCalls {
  readonly #prefix: string
  readonly #used = new Set<string>()
  readonly #byId = new CallIndex<ConversationCall>()
  readonly #byName = new CallIndex<ConversationCall>()
  #count = 0
  /** All smaller numbers are used. */
  #nextNumber = 0

  /** `prefix`: of generated ids. */
  constructor(prefix: 'call_' | 'toolu_') {
    this.#prefix = prefix
  }

  /** The call's id. A generated one depends only on its position, so a history gets the same ids in every turn. */
  add(sentId: string, name: string): string {
    let { id } = readSignedId(sentId)
    this.#nextNumber = Math.max(this.#nextNumber, this.#count++)
    while (id === '' || this.#used.has(id)) id = `${this.#prefix}${this.#nextNumber++}`
    this.#used.add(id)
    const call = { id, name, answered: false }
    this.#byId.add(sentId, call)
    this.#byName.add(name, call)
    return id
  }

  /** The call that a result with this id belongs to: the oldest without a result, else the last. */
  answerById(sentId: string): { id: string; name: string } | undefined {
    return markAnswered(this.#byId, sentId)
  }

  /** The same for a result that names only the function. */
  answerByName(name: string): { id: string; name: string } | undefined {
    return markAnswered(this.#byName, name)
  }
}

function markAnswered(index: CallIndex<ConversationCall>, key: string): ConversationCall | undefined {
  const call = index.oldestOpen(key) ?? index.last(key)
  if (call) call.answered = true
  return call
}

/** Finds calls by keys. A conversation of 32 MiB has more than 100,000 calls, so they are not searched one by one. */
export class CallIndex<Call extends { answered: boolean }> {
  /** In order. `from`: all calls before this position are answered. */
  readonly #byKey = new Map<string, { calls: Call[]; from: number }>()

  add(key: string, call: Call): void {
    const entry = this.#byKey.get(key)
    if (entry) entry.calls.push(call)
    else this.#byKey.set(key, { calls: [call], from: 0 })
  }

  /** The oldest call that is not answered. */
  oldestOpen(key: string): Call | undefined {
    const entry = this.#byKey.get(key)
    if (!entry) return undefined
    while (entry.calls[entry.from]?.answered) entry.from++
    return entry.calls[entry.from]
  }

  last(key: string): Call | undefined {
    return this.#byKey.get(key)?.calls.at(-1)
  }
}
