import { filledTextOf, isObject, present } from '../../../lib/json/read.ts'
import type { Citation } from '../../../sdk/chat.ts'

/**
 * Reads a citation of a text block; its range is that of the block. Documents of the request have no address. Source: Anthropic
 * API reference, "Create a message", `TextCitation`.
 */
export function readCitation(citation: unknown): Citation | undefined {
  if (!isObject(citation)) return undefined
  const source = filledTextOf(citation.source)
  return present({
    url: filledTextOf(citation.url) ?? (/^https?:/.test(source ?? '') ? source : undefined),
    title: filledTextOf(citation.title) ?? filledTextOf(citation.document_title),
    quote: filledTextOf(citation.cited_text),
  })
}
