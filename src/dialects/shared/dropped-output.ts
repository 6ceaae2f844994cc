import type { ChatEvent, ChatResponse, Citation, GeneratedFile } from '../../sdk/chat.ts'
import type { AnswerContext } from '../../sdk/dialect.ts'

type DropContext = Pick<AnswerContext, 'drop'>

const noSuchField = "the client's API has no field for it"

/** Reports a file that the client's dialect cannot carry. */
export function dropFile({ drop }: DropContext, { mediaType }: GeneratedFile): void {
  const [kind] = mediaType.split('/')
  drop?.(
    kind === 'image' ? 'response.images' : kind === 'audio' ? 'response.audio' : 'response.files',
    noSuchField,
  )
}

/** Reports a citation that the client's dialect cannot carry. */
export function dropCitation({ drop }: DropContext): void {
  drop?.('response.citations', noSuchField)
}

/** The same for an event of a stream. */
export function dropEvent(
  context: DropContext,
  event: Extract<ChatEvent, { type: 'citation' | 'file' }>,
): void {
  if (event.type === 'file') dropFile(context, event.file)
  else dropCitation(context)
}

/** The same for all files and citations of a whole response. */
export function dropOutput({ choices }: ChatResponse, context: DropContext): void {
  for (const { files = [], citations = [] } of choices) {
    for (const file of files) dropFile(context, file)
    if (citations.length > 0) dropCitation(context)
  }
}

/** The citations with an address, the only ones that OpenAI and Gemini have; others are reported. */
export function citationsWithUrl(
  citations: readonly Citation[],
  context: DropContext,
): (Citation & { url: string })[] {
  return citations.flatMap((citation) => {
    const { url } = citation
    if (url !== undefined) return [{ ...citation, url }]
    dropCitation(context)
    return []
  })
}
