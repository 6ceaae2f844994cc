import { isObject, present } from '../../lib/json/read.ts'
import { type RouterError, upstreamFailed } from '../../sdk/errors.ts'

/**
 * Whether a response body or an event reports an error: OpenAI's `error` object, the `error` string of LM Studio and Ollama,
 * `object: "error"` of older vLLM, `type: "error"` of Anthropic and proxies in front of it, or the list of Gemini's OpenAI
 * endpoint.
 */
export function isErrorShaped(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0 && isObject(value[0]) && Boolean(value[0].error)
  return isObject(value) && (Boolean(value.error) || value.object === 'error' || value.type === 'error')
}

/** The upstream's text is only in the cause, for the log: it may contain hosts, paths and other models. */
export function reportedError(sent: unknown): RouterError {
  const value: unknown = Array.isArray(sent) ? sent[0] : sent
  const error = isObject(value) && value.error ? value.error : value
  const cause = isObject(error)
    ? present({ message: error.message, type: error.type, code: error.code })
    : { message: error }
  return upstreamFailed('The upstream reported an error', 'UPSTREAM_ERROR', cause)
}

/** The error for a response or event that does not have the dialect's form: skipping it would silently drop content. */
export function unreadable(what: string, cause?: unknown): RouterError {
  return upstreamFailed('The upstream sent a response that cannot be read', 'BAD_ANSWER', cause ?? { what })
}
