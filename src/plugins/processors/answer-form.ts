import { ArrayFraming, EventFraming, type Framing, LineFraming } from '../../processors/answers/framing.ts'
import type { DialectContents } from '../../sdk/content.ts'
import type { Dialect } from '../../sdk/dialect.ts'

/** How responses in the client's dialect are read. */
export interface AnswerForm extends Pick<DialectContents, 'answers'> {
  readonly contents: DialectContents['stream']
  /** Of streamed answers. */
  readonly mediaType: string
}

/** How responses are read; for a dialect of an extension without such a description, nothing in them is recognized. */
export function formOf({ contents, streamMediaType }: Dialect): AnswerForm {
  const { stream, answers } = contents ?? nothing
  return { contents: stream, answers, mediaType: streamMediaType }
}

const nothing: Pick<DialectContents, 'stream' | 'answers'> = {
  stream: {
    read: () => ({ texts: [] }),
    continueText: () => ({}),
    createEnding: () => ({ observe() {}, endFiltered: () => [] }),
  },
  answers: { shape: 'value', filtered: (answer) => ({ ...answer }) },
}

export function framingOf(mediaType: string): Framing {
  if (mediaType.startsWith('text/event-stream')) return new EventFraming()
  return mediaType.includes('ndjson') ? new LineFraming() : new ArrayFraming()
}
