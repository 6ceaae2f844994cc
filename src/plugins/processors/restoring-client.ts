import { ArrayFraming, EventFraming, type Framing, LineFraming } from '../../processors/answers/framing.ts'
import { StreamRestoring } from '../../processors/answers/stream-restoring.ts'
import type { ChatClient, ClientPipe, ClientStream } from '../../relay/answer/client-stream.ts'
import type { StreamContents } from '../../sdk/content.ts'
import type { Processing } from './processing.ts'

export interface AnswerForm {
  readonly contents: StreamContents
  /** Of streamed answers. */
  readonly mediaType: string
}

/** The client's end of an answer, which gets values in place of pseudonyms. */
export function restoringClient(client: ChatClient, processing: Processing, form: AnswerForm): ChatClient {
  return {
    stream: () => restoringStream(client.stream(), processing, form),
    large: () => collectedStream(client.large(), processing),
    writeError: (error) => client.writeError(error),
    whole(body) {
      client.whole(processing.restored(Buffer.isBuffer(body) ? body : Buffer.from(body)))
    },
  }
}

/** The same for an answer of any kind: JSON, events, or bytes that are no text. */
export function restoringPipe(
  pipe: ClientPipe,
  processing: Processing,
  contents: StreamContents,
): ClientPipe {
  let inner: Change | undefined
  const restoring: ClientPipe = {
    committed: false,
    commit(status, { 'content-length': length, ...headers }) {
      restoring.committed = true
      const type = String(headers['content-type'] ?? '')
      if (/^application\/(?:[\w.-]+\+)?json/.test(type)) inner = collecting(processing)
      else if (/^text\/event-stream|ndjson/.test(type))
        inner = restoringEvents(processing, { contents, mediaType: type })
      processing.beforeAnswer()
      pipe.commit(status, inner || length === undefined ? headers : { ...headers, 'content-length': length })
    },
    write: (bytes) => (inner ? written(pipe, inner, processing, bytes) : pipe.write(bytes)),
    onDrain: (resume) => pipe.onDrain(resume),
    end: () => (inner ? ended(pipe, inner, processing) : pipe.end()),
    breakOff: () => pipe.breakOff(),
  }
  return restoring
}

/** What becomes of the pieces of an answer. */
interface Change {
  /** Throws a RangeError for what is too long to be held. */
  push(bytes: Buffer | string): Buffer | string
  end(): Buffer | string
}

type Out = Pick<ClientStream, 'write' | 'end' | 'breakOff'>

function restoringStream(stream: ClientStream, processing: Processing, form: AnswerForm): ClientStream {
  return changed(stream, restoringEvents(processing, form), processing)
}

/** A whole answer that comes in pieces: it can be changed once all of it is there. */
function collectedStream(stream: ClientStream, processing: Processing): ClientStream {
  return changed(stream, collecting(processing), processing)
}

function changed(stream: ClientStream, change: Change, processing: Processing): ClientStream {
  const changing: ClientStream = {
    committed: false,
    commit() {
      processing.beforeAnswer()
      stream.commit()
      changing.committed = true
    },
    write: (bytes) => written(stream, change, processing, bytes),
    onDrain: (resume) => stream.onDrain(resume),
    end: () => ended(stream, change, processing),
    breakOff: () => stream.breakOff(),
  }
  return changing
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

/** An answer that cannot be changed must not go out as it is. */
function tried<T>(out: Out, processing: Processing, run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    processing.breakOff(error)
    out.breakOff()
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

/** Cuts a stream of this media type into its events. */
export function framingOf(mediaType: string): Framing {
  if (mediaType.startsWith('text/event-stream')) return new EventFraming()
  return mediaType.includes('ndjson') ? new LineFraming() : new ArrayFraming()
}

/** Larger answers are broken off, in bytes. */
const maxCollectedBytes = 64 * 1024 * 1024

function collecting(processing: Processing): Change {
  const chunks: Buffer[] = []
  let length = 0
  return {
    push(bytes) {
      const piece = Buffer.from(bytes)
      length += piece.length
      if (length > maxCollectedBytes) throw new RangeError('answer too long')
      chunks.push(piece)
      return ''
    },
    end: () => processing.restored(Buffer.concat(chunks)),
  }
}
