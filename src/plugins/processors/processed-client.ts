import type { ChatClient, ClientPipe, ClientStream } from '../../relay/answer/client-stream.ts'
import type { AnswerForm } from './answer-form.ts'
import { GuardedClient } from './guarded-client.ts'
import type { Processing } from './processing.ts'
import { restoringClient } from './restoring-client.ts'

export interface ProcessedClient<Client = ChatClient> {
  readonly client: Client
  /** Await after the response has been written: its verdict may be pending. Rejects with the client's error. */
  settled(): Promise<void>
}

/** The client's side of a response: guardrails before unmasking, unmasking, the other guardrails. */
export function processedClient(
  inner: ChatClient,
  processing: Processing,
  form: AnswerForm,
): ProcessedClient {
  const guarded: GuardedClient[] = []
  const guardedBy = (stage: 'early' | 'late', client: ChatClient): ChatClient => {
    const options = form.answers.shape === 'opaque' ? undefined : processing.guardOptions(stage)
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

/** Applies the processors to a response that is piped to the client, whether JSON, events, or binary data. */
export function processedPipe(
  pipe: ClientPipe,
  processing: Processing,
  form: Omit<AnswerForm, 'mediaType'>,
): ProcessedClient<ClientPipe> {
  let settled = (): Promise<void> => Promise.resolve()
  let inner: ClientStream | undefined
  // Callbacks registered before the kind of the response was known.
  let whenStopped: Parameters<NonNullable<ClientStream['onStop']>>[0] | undefined
  const client: ClientPipe = {
    get committed() {
      return pipe.committed
    },
    commit(status, { 'content-length': length, ...headers }) {
      const mediaType = String(headers['content-type'] ?? '')
      const isJson = /^application\/(?:[\w.-]+\+)?json/.test(mediaType)
      if (!isJson && !/^text\/event-stream|ndjson/.test(mediaType)) {
        pipe.commit(status, length === undefined ? headers : { ...headers, 'content-length': length })
        return
      }
      const stream = (): ClientStream => streamOf(pipe, () => pipe.commit(status, headers))
      const whole = { stream, large: stream, whole: () => undefined, writeError: () => '' }
      const processed = processedClient(whole, processing, { ...form, mediaType })
      settled = () => processed.settled()
      inner = isJson ? processed.client.large() : processed.client.stream()
      if (whenStopped) inner.onStop?.(whenStopped)
      inner.commit()
    },
    write: (bytes) => (inner ?? pipe).write(bytes),
    onDrain: (resume) => (inner ?? pipe).onDrain(resume),
    end: () => (inner ?? pipe).end(),
    reset: () => (inner ?? pipe).reset(),
    onStop(stop) {
      whenStopped = stop
    },
    discard: () => inner?.discard?.(),
  }
  return { client, settled: () => settled() }
}

function streamOf(pipe: ClientPipe, commit: () => void): ClientStream {
  return {
    get committed() {
      return pipe.committed
    },
    commit,
    write: (bytes) => pipe.write(bytes),
    onDrain: (resume) => pipe.onDrain(resume),
    end: () => pipe.end(),
    reset: () => pipe.reset(),
  }
}
