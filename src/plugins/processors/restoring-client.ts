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
      client.whole(processing.restoreBody(Buffer.isBuffer(body) ? body : Buffer.from(body), form.answers))
    },
  }
}

/** Transforms the chunks of a response. */
interface ChunkTransform {
  /** Throws a RangeError if too much would have to be held. */
  push(bytes: Buffer | string): Buffer | string
  end(): Buffer | string
}

type Out = Pick<ClientStream, 'write' | 'end' | 'reset'>

function restoringStream(stream: ClientStream, processing: Processing, form: AnswerForm): ClientStream {
  return transformed(stream, restoringEvents(processing, form), processing)
}

/** A whole response that arrives in chunks: it is changed once complete. */
function collectedStream(stream: ClientStream, processing: Processing, form: AnswerForm): ClientStream {
  return transformed(stream, collecting(processing, form), processing)
}

function transformed(stream: ClientStream, change: ChunkTransform, processing: Processing): ClientStream {
  // After a discard an error follows, which is not part of the response.
  let isDiscarded = false
  return {
    get committed() {
      return stream.committed
    },
    commit() {
      processing.beforeHeaders()
      stream.commit()
    },
    write: (bytes) =>
      isDiscarded ? stream.write(bytes) : writeTransformed(stream, change, processing, bytes),
    onDrain: (resume) => stream.onDrain(resume),
    end: () => (isDiscarded ? stream.end() : endTransformed(stream, change, processing)),
    reset: () => stream.reset(),
    onStop: (stop) => stream.onStop?.(stop),
    discard() {
      if (!stream.discard) return
      isDiscarded = true
      stream.discard()
    },
  }
}

function writeTransformed(
  out: Out,
  change: ChunkTransform,
  processing: Processing,
  bytes: Buffer | string,
): boolean {
  const text = resetOnError(out, processing, () => change.push(bytes))
  return text === undefined || text.length === 0 ? true : out.write(text)
}

function endTransformed(out: Out, change: ChunkTransform, processing: Processing): void {
  const rest = resetOnError(out, processing, () => change.end())
  if (rest === undefined) return
  if (rest.length > 0) out.write(rest)
  out.end()
}

/** A response that cannot be changed must not be sent unchanged. */
function resetOnError<T>(out: Out, processing: Processing, run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    processing.abortResponse(error)
    out.reset()
    return undefined
  }
}

function restoringEvents(processing: Processing, { contents, mediaType }: AnswerForm): ChunkTransform {
  const restoring = new StreamRestoring(contents, framingOf(mediaType), processing.restoringOptions())
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

function collecting(processing: Processing, { answers }: AnswerForm): ChunkTransform {
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
    end: () => processing.restoreBody(Buffer.concat(chunks.take()), answers),
  }
}
