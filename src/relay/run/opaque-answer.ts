import { isObject, tokensOf } from '../../lib/json/read.ts'
import type { Usage } from '../../sdk/chat.ts'
import { type RouterError, upstreamFailed } from '../../sdk/errors.ts'
import { renameModel, type WholeAnswer } from '../answer/whole-answer.ts'
import type { ReadAnswer } from '../attempt/prepared-attempt.ts'

/** A response that is passed through unchanged. */
export interface OpaqueAnswer {
  body: Buffer
  headers: Record<string, string>
}

/**
 * A whole response of any form: in JSON, the model name is the client's; other bytes are unchanged. vLLM
 * describes binary embeddings in a header, `metadata`, which also contains the model name. `added`: additional members.
 */
export function readOpaque(
  { headers, body }: WholeAnswer,
  model: string,
  added?: (answer: Readonly<Record<string, unknown>>) => Record<string, unknown>,
): ReadAnswer<OpaqueAnswer> {
  const type = String(headers['content-type'] ?? 'application/json')
  // An error page of a proxy is not a response, so anything not declared as bytes must be JSON.
  if (!/^(?:application\/octet-stream|multipart\/)/i.test(type)) {
    const parsed: unknown = JSON.parse(body.toString())
    if (isObject(parsed) && parsed.error) throw reportedError(parsed.error)
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

/** An error that a server reports with status 2xx. Its text is only in the cause, for the log. */
export function reportedError(error: unknown): RouterError {
  const cause = isObject(error) ? error : { message: error }
  return upstreamFailed('The upstream reported an error', 'UPSTREAM_ERROR', cause)
}

/** Prompt tokens, as reported by OpenAI (`prompt_tokens`, `total_tokens`), Cohere (`meta`) and vLLM. */
function usageIn(answer: unknown): Usage | undefined {
  if (!isObject(answer)) return undefined
  if (isObject(answer.usage)) {
    return promptUsage(tokensOf(answer.usage.prompt_tokens) ?? tokensOf(answer.usage.total_tokens))
  }
  const units = isObject(answer.meta) ? answer.meta.billed_units : undefined
  return isObject(units) ? promptUsage(tokensOf(units.input_tokens)) : undefined
}

/** Token counts of a response without generated tokens. */
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
