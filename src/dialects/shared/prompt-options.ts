import type { ChatRequest } from '../../sdk/chat.ts'
import type { Drop, Flavour } from '../../sdk/dialect.ts'

/**
 * What clients tell of themselves (`client_metadata` of Codex) or to a cache: no answer depends on it, so it is left out
 * without a report.
 */
export const unreported: ReadonlySet<string> = new Set([
  'client_metadata',
  'prompt_cache_key',
  'prompt_cache_retention',
])

/** The same towards other vendors than OpenAI, whose books these members are for. */
export const bookkeeping: ReadonlySet<string> = new Set([
  ...unreported,
  'metadata',
  'store',
  'service_tier',
  'safety_identifier',
])

/** What of a request's options about prompt and length the server has; engines cache prefixes without a key. */
export function promptOptionsOn(
  { promptOptions }: Flavour,
  { promptCacheKey, verbosity }: ChatRequest,
  drop: Drop,
): Pick<ChatRequest, 'promptCacheKey' | 'verbosity'> {
  if (promptOptions) {
    return {
      ...(promptCacheKey === undefined ? {} : { promptCacheKey }),
      ...(verbosity === undefined ? {} : { verbosity }),
    }
  }
  if (verbosity !== undefined) drop('verbosity', 'the upstream has no such setting')
  return {}
}
