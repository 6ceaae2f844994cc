import { isObject } from '../../lib/json/read.ts'
import type { ChatResponse, Usage } from '../../sdk/chat.ts'

/** A cache entry. If masking applies, the response in it is masked. */
export interface CachedAnswer {
  /** Time of completion, in milliseconds since the epoch. */
  readonly at: number
  /** A non-streamed response in the client's dialect, byte for byte. */
  readonly whole?: string
  /** A streamed response, assembled. */
  readonly chat?: ChatResponse
  readonly usage?: Usage
  /** Fields that the target could not carry, with reasons. */
  readonly dropped?: readonly (readonly [string, string])[]
}

/** Version of the entry format; part of the cache key, so entries of other versions are never found. */
export const entryVersion = 'answer-1'

/** Parses an entry whose key includes {@link entryVersion}. */
export function parseCachedAnswer(json: string): CachedAnswer {
  return JSON.parse(json)
}

/** Whether a response may be stored: every choice ended normally, with content and without a refusal. */
export function isCacheable({ choices }: ChatResponse, { tools }: { tools: boolean }): boolean {
  if (choices.length === 0) return false
  return choices.every(({ finishReason, unknownReason, refusal, text, toolCalls }) => {
    if (unknownReason !== undefined || refusal) return false
    if (finishReason === 'tool_calls' || toolCalls.length > 0)
      return tools && (finishReason === 'tool_calls' || finishReason === 'stop')
    return finishReason === 'stop' && text !== ''
  })
}

const moreMembers: ReadonlySet<string> = new Set([
  'annotations',
  'citations',
  'images',
  'audio',
  'inlineData',
  'fileData',
  'executableCode',
  'codeExecutionResult',
  'groundingMetadata',
  'citationMetadata',
  'urlContextMetadata',
  'prompt_logprobs',
])
const moreTypes =
  /^(?:citations_delta|redacted_thinking|server_tool_use|compaction|mcp_\w+|\w+_tool_result|(?:web_search|file_search|code_interpreter|image_generation|computer|local_shell|shell|apply_patch)_call)$/

/**
 * Whether a response, or one event of it, contains parts that the canonical form cannot represent: citations, media, results of
 * server-side tools. Such a response can only be replayed in the form in which it was received, streamed or not.
 */
export function holdsMoreThanChat(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsMoreThanChat)
  if (!isObject(value)) return false
  return Object.entries(value).some(([name, member]) => {
    if (name === 'type') return typeof member === 'string' && moreTypes.test(member)
    return (moreMembers.has(name) && !isEmpty(member)) || holdsMoreThanChat(member)
  })
}

function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0)
}

/** Usage of a hit: the whole prompt counts as cached. */
export function cachedUsage({ cacheWriteTokens: _written, ...usage }: Usage): Usage {
  return { ...usage, cachedTokens: usage.promptTokens }
}
