import { isObject, present } from '../../lib/json/read.ts'
import { type RouterError, upstreamFailed } from '../../sdk/errors.ts'

/**
 * Whether an answer or an event is an upstream's error in place of one: OpenAI's object, the string of LM Studio and
 * Ollama, the `object: "error"` of older vLLM, the `type: "error"` of Anthropic and the proxies in front of it, the list of
 * Gemini's OpenAI endpoint.
 */
export function isErrorShaped(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0 && isObject(value[0]) && Boolean(value[0].error)
  return isObject(value) && (Boolean(value.error) || value.object === 'error' || value.type === 'error')
}

/** The upstream's text stays in the cause, for the log: it may contain hosts, paths and other models. */
export function reportedError(sent: unknown): RouterError {
  const value: unknown = Array.isArray(sent) ? sent[0] : sent
  const said = isObject(value) && value.error ? value.error : value
  const cause = isObject(said)
    ? present({ message: said.message, type: said.type, code: said.code })
    : { message: said }
  return upstreamFailed('The upstream reported an error', 'UPSTREAM_ERROR', cause)
}

/** An answer or event that is not of the dialect's form: skipping it would lose tokens silently. */
export function unreadable(what: string, cause?: unknown): RouterError {
  return upstreamFailed('The upstream sent a response that cannot be read', 'BAD_ANSWER', cause ?? { what })
}
