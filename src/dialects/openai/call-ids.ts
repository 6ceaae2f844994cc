import { randomBytes } from 'node:crypto'

/** An id for a tool call that came without one: `call_` and 24 random characters, as OpenAI's own look. */
export function randomCallId(): string {
  return `call_${randomBytes(12).toString('hex')}`
}

/** Keeps the ids of one answer's tool calls apart: some servers repeat an id, or give none. */
export class AnswerCallIds {
  readonly #newId: () => string
  readonly #used = new Set<string>()

  constructor(newId: () => string) {
    this.#newId = newId
  }

  /** `sent` where it is filled and free, else a new one. */
  claim(sent: string): string {
    let id = sent
    while (id === '' || this.#used.has(id)) id = this.#newId()
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

/** The tool calls of a conversation. Clients that count from zero in each turn reuse their ids; here none is used twice. */
export class ConversationCalls {
  readonly #calls: KnownCall[] = []
  readonly #used = new Set<string>()

  /** Gives the call's id. It follows from its place alone, so the same history reads the same each turn. */
  add(sentId: string, name: string): string {
    let id = sentId
    for (let number = this.#calls.length; id === '' || this.#used.has(id); number++) id = `call_${number}`
    this.#used.add(id)
    this.#calls.push({ sentId, id, name, answered: false })
    return id
  }

  /** The call that a result with this id answers: the oldest open one, else the last. */
  answerById(sentId: string): { id: string; name: string } | undefined {
    return this.#answer((call) => call.sentId === sentId)
  }

  /** The deprecated `function` role names the function only. */
  answerByName(name: string): { id: string; name: string } | undefined {
    return this.#answer((call) => call.name === name)
  }

  #answer(fits: (call: KnownCall) => boolean): KnownCall | undefined {
    const call = this.#calls.find((each) => !each.answered && fits(each)) ?? this.#calls.findLast(fits)
    if (call) call.answered = true
    return call
  }
}
