import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { CacheControl, ChatRequest } from '../../sdk/chat.ts'
import type { Drop } from '../../sdk/write-options.ts'

interface Cacheable {
  cacheControl?: CacheControl
}

/** The `cache_control` of a part, tool call or tool, if any. */
export function readCacheControl({ cache_control: mark }: JsonObject): Cacheable {
  return isObject(mark) ? { cacheControl: mark } : {}
}

/** Moves the mark of a message to its last part, which is equivalent. */
export function withCacheControlOnLast<Part extends Cacheable>(
  parts: readonly Part[],
  mark: Cacheable,
): Part[] {
  return parts.map((part, index) => (index === parts.length - 1 ? { ...part, ...mark } : part))
}

/** Reports `cache_control` as dropped, for servers that have no such member. */
export function reportCacheControl({ messages, tools }: ChatRequest, drop: Drop): void {
  const hasCacheControl = ({ cacheControl }: Cacheable): boolean => cacheControl !== undefined
  const isUsed =
    tools.some(hasCacheControl) ||
    messages.some(
      (message) =>
        message.parts.some(hasCacheControl) ||
        (message.role === 'assistant' && message.toolCalls.some(hasCacheControl)),
    )
  if (isUsed) drop('cache_control', 'the upstream has no markers for its prompt cache')
}
