import { lostHeader } from '../core/lost-header.ts'
import type { Exchange } from './exchange.ts'

/** What the headers of an answer tell, added to `headers`: which model spoke, and what could not be carried to it. */
export function answerHeaders(
  exchange: Exchange,
  headers: Record<string, string> = {},
): Record<string, string> {
  const { answeringModel = exchange.model, lost } = exchange
  if (lost.size > 0) Object.assign(headers, lostHeader(lost))
  if (answeringModel !== undefined) headers['x-llm-router-model'] = headerText(answeringModel)
  return headers
}

/** Names of models are free text; what a header cannot hold is percent-encoded. */
function headerText(name: string): string {
  if (/^[\x21-\x7e]*$/.test(name)) return name
  return name.replaceAll(/[^\x21-\x7e]/gu, (character) => encodeURIComponent(character))
}
