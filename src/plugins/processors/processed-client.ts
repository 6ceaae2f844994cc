import type { ChatClient } from '../../relay/answer/client-stream.ts'
import type { AnswerForm } from './answer-form.ts'
import { GuardedClient } from './guarded-client.ts'
import type { Processing } from './processing.ts'
import { restoringClient } from './restoring-client.ts'

export interface ProcessedClient {
  readonly client: ChatClient
  /** To be awaited when the answer has been handed over: it may still wait for its verdict. Rejects with the client's error. */
  settled(): Promise<void>
}

/** The client's end of an answer: guardrails before unmasking, unmasking, the other guardrails. */
export function processedClient(
  inner: ChatClient,
  processing: Processing,
  form: AnswerForm,
): ProcessedClient {
  const guarded: GuardedClient[] = []
  const guardedBy = (stage: 'early' | 'late', client: ChatClient): ChatClient => {
    const options = processing.guarding(stage)
    if (!options) return client
    const guard = new GuardedClient(client, { ...options, form })
    guarded.unshift(guard)
    return guard
  }
  const shown = guardedBy('late', inner)
  const restored = processing.masks ? restoringClient(shown, processing, form) : shown
  const client = guardedBy('early', restored)
  return {
    client,
    async settled() {
      for (const guard of guarded) await guard.settled()
    },
  }
}
