import { isObject } from '../../lib/json/read.ts'
import type { ChatResponse, Usage } from '../../sdk/chat.ts'

/** An answer as it is kept: masked where contents are. */
export interface KeptAnswer {
  /** When it was complete, in milliseconds since 1970. */
  readonly at: number
  /** A whole answer in the client's dialect, as it came. */
  readonly whole?: string
  /** A streamed one, put together. */
  readonly chat?: ChatResponse
  readonly usage?: Usage
  /** What the target could not carry, with the reason. */
  readonly dropped?: readonly (readonly [string, string])[]
}

/** Of the form of what is kept: answers of another form are not found. */
export const answerForm = 'answer-1'

/** Reads what was kept under a digest of {@link answerForm}. */
export function keptAnswer(json: string): KeptAnswer {
  return JSON.parse(json)
}

/** Whether an answer may be given again: all of its choices came to a normal end, with something said and nothing refused. */
export function mayBeKept({ choices }: ChatResponse, { tools }: { tools: boolean }): boolean {
  if (choices.length === 0) return false
  return choices.every(({ finishReason, unknownReason, refusal, text, toolCalls }) => {
    if (unknownReason !== undefined || refusal) return false
    if (finishReason === 'tool_calls' || toolCalls.length > 0)
      return tools && (finishReason === 'tool_calls' || finishReason === 'stop')
    return finishReason === 'stop' && text !== ''
  })
}

const moreMembers: ReadonlySet<string> = new Set([
  ...['annotations', 'citations', 'images', 'audio', 'inlineData', 'fileData', 'executableCode'],
  ...[
    'codeExecutionResult',
    'groundingMetadata',
    'citationMetadata',
    'urlContextMetadata',
    'prompt_logprobs',
  ],
])
const moreTypes =
  /^(?:citations_delta|redacted_thinking|server_tool_use|compaction|mcp_\w+|\w+_tool_result|(?:web_search|file_search|code_interpreter|image_generation|computer|local_shell|shell|apply_patch)_call)$/

/**
 * Whether an answer, or an event of one, holds what a chat has no place for: citations, media, the work of tools at the upstream.
 * It can be given again only in the form in which it came.
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

/** Counts of an answer that no model was asked for: all of the prompt was in a cache. */
export function cachedUsage({ cacheWriteTokens: _written, ...usage }: Usage): Usage {
  return { ...usage, cachedTokens: usage.promptTokens }
}
