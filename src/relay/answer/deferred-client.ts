import type { ChatClient, ClientStream } from './client-stream.ts'

/**
 * A client that gets nothing more while `pending` gives a promise that is not fulfilled; the promise must never reject.
 * So what is to be done at the end of an answer is done before its client can know that end, and act on it.
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
    // What is held is the last of an answer, so there is nothing to slow down.
    write: (bytes) => hold(() => stream.write(bytes)) || stream.write(bytes),
    onDrain: (resume) => stream.onDrain(resume),
    breakOff: () => stream.breakOff(),
    end() {
      if (!hold(() => stream.end())) stream.end()
    },
  }
  return deferredStream
}
