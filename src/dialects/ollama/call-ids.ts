import { createHash } from 'node:crypto'

/**
 * The tool calls of a conversation and which of them were answered. Ollama's clients may leave out the ids on either
 * side: JavaScript's types have no `tool_call_id`, and others send not even `tool_name`.
 */
export class ConversationCalls {
  readonly #used = new Set<string>()
  readonly #waiting: { id: string; given: unknown; name: string }[] = []

  /** The id of a call by its place; the same conversation gets the same ids each turn, so prompt caches hold. */
  add(message: number, call: number, given: unknown, name: string): string {
    let id = typeof given === 'string' && given !== '' ? given : placedId(message, call, 0)
    for (let salt = 1; this.#used.has(id); salt++) id = placedId(message, call, salt)
    this.#used.add(id)
    this.#waiting.push({ id, given, name })
    return id
  }

  /** Takes the call that a result belongs to: by id, else the oldest open one of that name, else the oldest. */
  answer(given: unknown, name: string | undefined): { id: string; name: string } | undefined {
    let index = -1
    if (typeof given === 'string' && given !== '')
      index = this.#waiting.findIndex((call) => call.given === given)
    if (index === -1 && name) index = this.#waiting.findIndex((call) => call.name === name)
    return this.#waiting.splice(Math.max(index, 0), 1)[0]
  }
}

function placedId(message: number, call: number, salt: number): string {
  const hash = createHash('sha256').update(`${message}.${call}.${salt}`).digest('hex')
  return `call_${hash.slice(0, 24)}`
}
