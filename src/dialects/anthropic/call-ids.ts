import { createHash, randomBytes } from 'node:crypto'

/** An id for a tool call that came without one, in the form of Anthropic's own. */
export function randomCallId(): string {
  return `toolu_${randomBytes(12).toString('hex')}`
}

/**
 * The id as Anthropic takes it (API reference, `tool_use.id`: `^[a-zA-Z0-9_-]+$`). Others, such as `functions.f:0`, get
 * a stand-in that follows from the id alone, so that a call and its result agree in every turn without any memory.
 */
export function legalCallId(id: string): string {
  if (/^[a-zA-Z0-9_-]+$/.test(id)) return id
  return `toolu_${createHash('sha256').update(id).digest('hex').slice(0, 24)}`
}

/** Keeps the ids of one answer's calls apart. */
export class AnswerCallIds {
  readonly #newId: () => string
  readonly #used = new Set<string>()

  constructor(newId: () => string) {
    this.#newId = newId
  }

  /** `sent` where it is filled and free, else a new one. */
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

/** The tool calls of a conversation. Where a client uses an id again, the later call gets one of its own. */
export class ConversationCalls {
  readonly #calls: KnownCall[] = []
  readonly #used = new Set<string>()

  /** Gives the call's id; a made one follows from its place, so that the same history reads the same each turn. */
  add(sentId: string, name: string): string {
    let id = sentId
    for (let number = this.#calls.length; id === '' || this.#used.has(id); number++) id = `toolu_${number}`
    this.#used.add(id)
    this.#calls.push({ sentId, id, name, answered: false })
    return id
  }

  /** The call that a result belongs to: the oldest open one of this id, else the last one. */
  answer(sentId: string): { id: string; name: string } | undefined {
    const fits = (call: KnownCall): boolean => call.sentId === sentId
    const call = this.#calls.find((each) => !each.answered && fits(each)) ?? this.#calls.findLast(fits)
    if (call) call.answered = true
    return call
  }
}
