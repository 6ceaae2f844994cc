import { isObject } from '../../lib/json/read.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { Drop } from '../../sdk/write-options.ts'

/** What a server rejects for a model: levels above `high`, every level (thinking is only a switch), or thinking itself. */
export type ThinkingLimit = 'top thinking levels' | 'thinking levels' | 'thinking'

/** Source: Ollama, `server/routes.go` and `api/types.go`. */
const rejections: readonly (readonly [ThinkingLimit, RegExp])[] = [
  ['thinking', /does not support thinking/i],
  ['thinking levels', /^think value "\w+" is not supported for this model/],
  ['top thinking levels', /^invalid think value: "max"/],
]

/** The limit because of which an upstream rejected a request; undefined if it had another reason. */
export function thinkingLimitOf({ cause, causeCode }: RouterError): ThinkingLimit | undefined {
  const message = isObject(cause) ? cause.message : undefined
  if (causeCode !== 'HTTP_400' || typeof message !== 'string') return undefined
  return rejections.find(([, pattern]) => pattern.test(message))?.[0]
}

/** The request without the thinking that a server is known to reject. */
export function withinThinkingLimits(
  request: ChatRequest,
  isLimited: (limit: ThinkingLimit) => boolean,
  drop: Drop,
): ChatRequest {
  const { reasoningEffort, reasoningBudget: _budget, ...rest } = request
  if (reasoningEffort === undefined || reasoningEffort === 'none') return request
  if (isLimited('thinking')) {
    drop('reasoning_effort', 'the model does not support thinking')
    return rest
  }
  if (reasoningEffort === 'on') return request
  if (isLimited('thinking levels')) {
    drop('reasoning_effort', 'the model thinks, but supports no levels')
    return { ...rest, reasoningEffort: 'on' }
  }
  const isTop = reasoningEffort === 'xhigh' || reasoningEffort === 'max'
  return isTop && isLimited('top thinking levels') ? { ...request, reasoningEffort: 'high' } : request
}
