import { countOf, isObject } from '../../lib/json/read.ts'
import type { Usage } from '../../sdk/chat.ts'
import { renameModel, type WholeAnswer } from '../answer/whole-answer.ts'
import type { ReadAnswer } from '../attempt/prepared-attempt.ts'

/** An answer that goes to the client as it came. */
export interface OpaqueAnswer {
  body: Buffer
  headers: Record<string, string>
}

/**
 * A whole answer of any form: in JSON the model has the name that the client knows, other bytes stay as they are. vLLM
 * describes embeddings in bytes in a header, `metadata`, which names the model too. `added`: members beside the upstream's.
 */
export function readOpaque(
  { headers, body }: WholeAnswer,
  model: string,
  added?: (answer: Readonly<Record<string, unknown>>) => Record<string, unknown>,
): ReadAnswer<OpaqueAnswer> {
  const type = String(headers['content-type'] ?? 'application/json')
  // A page of a proxy is no answer, so whatever does not say that it is bytes must be JSON.
  if (!/^(?:application\/octet-stream|multipart\/)/i.test(type)) {
    const parsed: unknown = JSON.parse(body.toString())
    const members = added && isObject(parsed) ? added(parsed) : undefined
    const renamed = renameModel(body, model, { parsed, members })
    return {
      answer: { body: renamed, headers: { 'content-type': 'application/json' } },
      usage: usageIn(parsed),
    }
  }
  const metadata = metadataIn(headers.metadata)
  if (metadata && 'model' in metadata) metadata.model = model
  const described = metadata && { metadata: asciiJson(metadata) }
  return { answer: { body, headers: { 'content-type': type, ...described } }, usage: usageIn(metadata) }
}

/** Tokens of the prompt, in the words of OpenAI (`prompt_tokens`, `total_tokens`), Cohere (`meta`) and vLLM. */
function usageIn(answer: unknown): Usage | undefined {
  if (!isObject(answer)) return undefined
  if (isObject(answer.usage)) {
    return promptUsage(countOf(answer.usage.prompt_tokens) ?? countOf(answer.usage.total_tokens))
  }
  const units = isObject(answer.meta) ? answer.meta.billed_units : undefined
  return isObject(units) ? promptUsage(countOf(units.input_tokens)) : undefined
}

/** Token counts of an answer that has no tokens of its own. */
export function promptUsage(promptTokens: number | undefined): Usage | undefined {
  return promptTokens === undefined ? undefined : { promptTokens, completionTokens: 0 }
}

/** A header holds ASCII only. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function metadataIn(header: unknown): Record<string, unknown> | undefined {
  if (typeof header !== 'string') return undefined
  try {
    const parsed: unknown = JSON.parse(header)
    return isObject(parsed) ? parsed : undefined
  } catch {
    return undefined // none of vLLM's
  }
}
