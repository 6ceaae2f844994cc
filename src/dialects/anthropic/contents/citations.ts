import { isObject, type JsonObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type { CitedRange, RequestDocuments } from '../../../sdk/content.ts'

/**
 * The character range of a document that a citation refers to. Citations of other types refer to pages, blocks and search
 * results, which no processor changes. Source: Anthropic API reference, "Create a message", `CitationCharLocation`.
 */
export function citedRange(citation: unknown, path: readonly (string | number)[]): CitedRange[] {
  if (!isObject(citation) || citation.type !== 'char_location') return []
  const document = numberOf(citation.document_index)
  return [
    {
      path,
      members: ['start_char_index', 'end_char_index'],
      unit: 'characters',
      text: document === undefined ? undefined : { document },
      quote: 'cited_text',
    },
  ]
}

export function citedInBlock(block: unknown, path: readonly (string | number)[]): CitedRange[] {
  if (!isObject(block)) return []
  return objectsIn(block.citations).flatMap((citation, position) =>
    citedRange(citation, [...path, 'citations', position]),
  )
}

export function citedInBlocks(blocks: unknown, path: readonly (string | number)[]): CitedRange[] {
  return objectsIn(blocks).flatMap((block, position) => citedInBlock(block, [...path, position]))
}

/** Documents are numbered across all messages, including those in tool results. Only plain text is cited by characters. */
export function citedDocuments({ messages }: Readonly<JsonObject>): RequestDocuments {
  const turns = objectsIn(messages)
  return {
    texts: turns.flatMap(({ content }, position) => documentsIn(content, `messages[${position}].content`)),
    citations: turns.flatMap(({ content }, position) =>
      citedInBlocks(content, ['messages', position, 'content']),
    ),
  }
}

function documentsIn(content: unknown, path: string): (string | undefined)[] {
  return objectsIn(content).flatMap((block, position) => {
    const at = `${path}[${position}]`
    if (block.type === 'tool_result') return documentsIn(block.content, `${at}.content`)
    if (block.type !== 'document') return []
    const isText = isObject(block.source) && block.source.type === 'text'
    return [isText ? `${at}.source.data` : undefined]
  })
}
