import type { ChatClient, ClientStream } from './client-stream.ts'

/**
 * Delays the end of a response while `pending` returns an unfulfilled promise; the promise must never reject.
 * Work at the end of a response is thereby done before the client sees the end and can act on it.
 */
export function deferredClient(client: ChatClient, pending: () => Promise<void> | undefined): ChatClient {
  return {
    stream: () => deferredStream(client.stream(), pending),
    large: () => client.large(),
    writeError: (error) => client.writeError(error),
    whole(body) {
      const held = pending()
      if (held === undefined) client.whole(body)
      else void held.then(() => client.whole(body))
    },
  }
}

function deferredStream(stream: ClientStream, pending: () => Promise<void> | undefined): ClientStream {
  let held: Promise<void> | undefined
  const hold = (action: () => void): boolean => {
    const before = held ?? pending()
    if (before === undefined) return false
    held = before.then(action)
    return true
  }
  const deferredStream: ClientStream = {
    committed: false,
    commit: () => {
      stream.commit()
      deferredStream.committed = true
    },
    // Only the end of a response is held, so no backpressure is needed.
    write: (bytes) => hold(() => stream.write(bytes)) || stream.write(bytes),
    onDrain: (resume) => stream.onDrain(resume),
    reset: () => stream.reset(),
    end() {
      if (!hold(() => stream.end())) stream.end()
    },
  }
  return deferredStream
}
