import { createHash } from 'node:crypto'
import type { AutoFacts } from './facts.ts'

const maxConversations = 20_000

/** Which model each conversation has, for those that went on lately. Holds digests, no content. */
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

/** The conversation of a request: by the name that its client gives it, or by how it begins. */
export function conversationKey(client: string, { session, system, firstText }: AutoFacts): string {
  const named = session === undefined ? ['', system, firstText] : [session]
  return createHash('sha256')
    .update(JSON.stringify([client, ...named]))
    .digest('base64url')
}

/** The one that continues with the answer of this id. */
export function answerKey(client: string, answerId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([client, answerId]))
    .digest('base64url')
}
