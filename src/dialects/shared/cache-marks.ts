import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { CacheControl, ChatRequest } from '../../sdk/chat.ts'
import type { Drop } from '../../sdk/write-options.ts'

interface Marked {
  cacheControl?: CacheControl
}

/** The `cache_control` of a part, tool call or tool, if any. */
export function cacheMark({ cache_control: mark }: JsonObject): Marked {
  return isObject(mark) ? { cacheControl: mark } : {}
}

/** Moves the mark of a message to its last part, which is equivalent. */
export function markLast<Part extends Marked>(parts: readonly Part[], mark: Marked): Part[] {
  return parts.map((part, index) => (index === parts.length - 1 ? { ...part, ...mark } : part))
}

/** Reports `cache_control` as dropped, for servers that have no such member. */
export function reportCacheMarks({ messages, tools }: ChatRequest, drop: Drop): void {
  const isMarked = ({ cacheControl }: Marked): boolean => cacheControl !== undefined
  const hasMarks =
    tools.some(isMarked) ||
    messages.some(
      (message) =>
        message.parts.some(isMarked) || (message.role === 'assistant' && message.toolCalls.some(isMarked)),
    )
  if (hasMarks) drop('cache_control', 'the upstream has no markers for its prompt cache')
}
