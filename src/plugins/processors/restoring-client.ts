import { ChunkList } from '../../lib/bytes/chunk-list.ts'
import { StreamRestoring } from '../../processors/answers/stream-restoring.ts'
import type { ChatClient, ClientStream } from '../../relay/answer/client-stream.ts'
import { type AnswerForm, framingOf } from './answer-form.ts'
import type { Processing } from './processing.ts'

/** The client's side of a response, in which pseudonyms are replaced by values. */
export function restoringClient(client: ChatClient, processing: Processing, form: AnswerForm): ChatClient {
  return {
    stream: () => restoringStream(client.stream(), processing, form),
    large: () => collectedStream(client.large(), processing, form),
    writeError: (error) => client.writeError(error),
    whole(body) {
      client.whole(processing.restored(Buffer.isBuffer(body) ? body : Buffer.from(body), form.answers))
    },
  }
}

/** Transforms the chunks of a response. */
interface Change {
  /** Throws a RangeError if too much would have to be held. */
  push(bytes: Buffer | string): Buffer | string
  end(): Buffer | string
}

type Out = Pick<ClientStream, 'write' | 'end' | 'reset'>

function restoringStream(stream: ClientStream, processing: Processing, form: AnswerForm): ClientStream {
  return changed(stream, restoringEvents(processing, form), processing)
}

/** A whole response that arrives in chunks: it is changed once complete. */
function collectedStream(stream: ClientStream, processing: Processing, form: AnswerForm): ClientStream {
  return changed(stream, collecting(processing, form), processing)
}

function changed(stream: ClientStream, change: Change, processing: Processing): ClientStream {
  // After a discard an error follows, which is not part of the response.
  let isForgotten = false
  return {
    get committed() {
      return stream.committed
    },
    commit() {
      processing.beforeAnswer()
      stream.commit()
    },
    write: (bytes) => (isForgotten ? stream.write(bytes) : written(stream, change, processing, bytes)),
    onDrain: (resume) => stream.onDrain(resume),
    end: () => (isForgotten ? stream.end() : ended(stream, change, processing)),
    reset: () => stream.reset(),
    onStop: (stop) => stream.onStop?.(stop),
    discard() {
      if (!stream.discard) return
      isForgotten = true
      stream.discard()
    },
  }
}

function written(out: Out, change: Change, processing: Processing, bytes: Buffer | string): boolean {
  const text = tried(out, processing, () => change.push(bytes))
  return text === undefined || text.length === 0 ? true : out.write(text)
}

function ended(out: Out, change: Change, processing: Processing): void {
  const rest = tried(out, processing, () => change.end())
  if (rest === undefined) return
  if (rest.length > 0) out.write(rest)
  out.end()
}

/** A response that cannot be changed must not be sent unchanged. */
function tried<T>(out: Out, processing: Processing, run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    processing.breakOff(error)
    out.reset()
    return undefined
  }
}

function restoringEvents(processing: Processing, { contents, mediaType }: AnswerForm): Change {
  const restoring = new StreamRestoring(contents, framingOf(mediaType), processing.restoring())
  const decoder = new TextDecoder()
  return {
    push: (bytes) =>
      restoring.push(typeof bytes === 'string' ? bytes : decoder.decode(bytes, { stream: true })),
    end() {
      const rest = restoring.push(decoder.decode()) + restoring.end()
      processing.countRestored(restoring.done)
      return rest
    },
  }
}

/** Maximum size of a response, in bytes; larger ones are aborted. */
const maxCollectedBytes = 64 * 1024 * 1024

function collecting(processing: Processing, { answers }: AnswerForm): Change {
  const chunks = new ChunkList()
  let length = 0
  return {
    push(bytes) {
      const piece = Buffer.from(bytes)
      length += piece.length
      if (length > maxCollectedBytes) throw new RangeError('answer too long')
      chunks.add(piece)
      return ''
    },
    end: () => processing.restored(Buffer.concat(chunks.take()), answers),
  }
}
