import { randomBytes } from 'node:crypto'
import { readSignedId } from './signatures.ts'

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

interface KnownCall {
  sentId: string
  id: string
  name: string
  answered: boolean
}

/** The tool calls of a conversation, with unique ids: some clients count from zero in each turn and so reuse theirs. */
export class ConversationCalls {
  readonly #prefix: string
  readonly #calls: KnownCall[] = []
  readonly #used = new Set<string>()

  /** `prefix`: of generated ids. */
  constructor(prefix: 'call_' | 'toolu_') {
    this.#prefix = prefix
  }

  /** The call's id. A generated one depends only on its position, so a history gets the same ids in every turn. */
  add(sentId: string, name: string): string {
    let { id } = readSignedId(sentId)
    for (let number = this.#calls.length; id === '' || this.#used.has(id); number++) {
      id = `${this.#prefix}${number}`
    }
    this.#used.add(id)
    this.#calls.push({ sentId, id, name, answered: false })
    return id
  }

  /** The call that a result with this id belongs to: the oldest without a result, else the last. */
  answerById(sentId: string): { id: string; name: string } | undefined {
    return this.#answer((call) => call.sentId === sentId)
  }

  /** The same for a result that names only the function. */
  answerByName(name: string): { id: string; name: string } | undefined {
    return this.#answer((call) => call.name === name)
  }

  #answer(matches: (call: KnownCall) => boolean): KnownCall | undefined {
    const call = this.#calls.find((each) => !each.answered && matches(each)) ?? this.#calls.findLast(matches)
    if (call) call.answered = true
    return call
  }
}
