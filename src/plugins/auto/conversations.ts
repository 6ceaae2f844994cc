import { createHash } from 'node:crypto'
import type { AutoFacts } from './facts.ts'

const maxConversations = 20_000

/** The model of each recent conversation. Stores digests, not content. */
export class Conversations {
  readonly #models = new Map<string, string>()

  find(key: string): string | undefined {
    const model = this.#models.get(key)
    if (model === undefined) return undefined
    this.keep(key, model)
    return model
  }

  keep(key: string, model: string): void {
    this.#models.delete(key)
    this.#models.set(key, model)
    if (this.#models.size <= maxConversations) return
    for (const oldest of this.#models.keys()) {
      this.#models.delete(oldest)
      return
    }
  }
}

/** Identifies the conversation of a request by its session id, or else by its first messages. */
export function conversationKey(client: string, { session, system, firstText }: AutoFacts): string {
  const named = session === undefined ? ['', system, firstText] : [session]
  return createHash('sha256')
    .update(JSON.stringify([client, ...named]))
    .digest('base64url')
}

/** Identifies the conversation that continues a response by its id. */
export function answerKey(client: string, answerId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([client, answerId]))
    .digest('base64url')
}
