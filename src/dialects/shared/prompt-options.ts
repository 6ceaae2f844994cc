import type { JsonObject } from '../../lib/json/read.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import type { Flavour } from '../../sdk/profile.ts'
import type { Drop } from '../../sdk/write-options.ts'
import { rejectConstraint } from './output-constraints.ts'

/** Members that never affect a response (`client_metadata` of Codex, cache hints). They are dropped without a report. */
const unreportedMembers: ReadonlySet<string> = new Set([
  'client_metadata',
  'prompt_cache_key',
  'prompt_cache_retention',
])

/** The same for vendors other than OpenAI, to which OpenAI's storage and billing members do not apply. */
export const bookkeepingMembers: ReadonlySet<string> = new Set([
  ...unreportedMembers,
  'metadata',
  'store',
  'service_tier',
  'safety_identifier',
])

/** Values of `service_tier` in OpenAI's APIs besides `auto`, the default. Anthropic's member of the same name has others. */
const openaiTiers: ReadonlySet<unknown> = new Set(['default', 'flex', 'priority', 'scale'])

/** The extras that chat completions and the Responses API share, for OpenAI's servers. Others are reported with `why`. */
export function writeOpenaiExtras(
  { promptOptions = false }: Flavour,
  { extras }: ChatRequest,
  { drop, why }: { drop: Drop; why: string },
): JsonObject {
  const sent: JsonObject = {}
  for (const [name, value] of Object.entries(extras)) {
    const isShared = name === 'service_tier' ? openaiTiers.has(value) : name === 'safety_identifier'
    if (promptOptions && isShared) sent[name] = value
    else if (!unreportedMembers.has(name)) {
      rejectConstraint(name, value)
      drop(name, why)
    }
  }
  return sent
}

/** The extras among the `members` of a dialect. Others are rejected or reported with `why`, unless they are bookkeeping. */
export function writeExtras(
  extras: JsonObject,
  { members, drop, why }: { members: ReadonlySet<string>; drop: Drop; why: string },
): JsonObject {
  const sent: JsonObject = {}
  for (const [name, value] of Object.entries(extras)) {
    if (value === null || value === undefined || bookkeepingMembers.has(name)) continue
    if (members.has(name)) {
      sent[name] = value
      continue
    }
    rejectConstraint(name, value)
    drop(name, why)
  }
  return sent
}

/** The prompt options that a server supports. `prompt_cache_key` is not reported: engines cache prefixes without a key. */
export function supportedPromptOptions(
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

/** Reports the description of the response's schema, for dialects that send only the schema. */
export function reportFormatDescription({ responseFormat: format }: ChatRequest, drop: Drop): void {
  if (format?.type === 'schema' && format.description !== undefined)
    drop('response_format.json_schema.description', 'the upstream has no such field')
}
