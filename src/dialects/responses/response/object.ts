import { isObject, type JsonObject, objectsIn } from '../../../lib/json/read.ts'
import type { FinishReason, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'

/** The state of a response, besides its request. */
export interface AnswerState {
  status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  output: readonly JsonObject[]
  usage?: Usage | undefined
  error?: JsonObject
  /** Why the response is incomplete. */
  reason?: string
}

/**
 * A response object with every member that OpenAI's specification requires, including the request's parameters. Parameters
 * that the client did not set are null, because the router does not know the engine's defaults. Source: OpenAI API reference,
 * "The response object".
 */
export function answerObject(context: AnswerContext, state: AnswerState): JsonObject {
  const { request = {} } = context
  const parameter = (name: string): unknown => request[name] ?? null
  const { status, output, usage, error = null, reason } = state
  const completedAt = status === 'completed' ? Math.floor(context.now().getTime() / 1000) : null
  return {
    id: responseId(context.id),
    object: 'response',
    access_programs: null,
    created_at: context.created,
    completed_at: completedAt,
    status,
    background: false,
    error,
    incomplete_details: reason === undefined ? null : { reason },
    instructions: parameter('instructions'),
    max_output_tokens: parameter('max_output_tokens'),
    max_tool_calls: parameter('max_tool_calls'),
    metadata: request.metadata ?? {},
    model: context.model,
    output,
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: parameter('previous_response_id'),
    prompt_cache_key: parameter('prompt_cache_key'),
    reasoning: { effort: null, summary: null, ...objectOf(request.reasoning) },
    safety_identifier: parameter('safety_identifier'),
    service_tier: parameter('service_tier'),
    store: request.store ?? true,
    temperature: parameter('temperature'),
    text: textOptions(request.text),
    tool_choice: chosenTool(request.tool_choice),
    tools: objectsIn(request.tools).map(offeredTool),
    top_logprobs: request.top_logprobs ?? 0,
    top_p: parameter('top_p'),
    truncation: request.truncation ?? 'disabled',
    usage: usage ? writeUsage(usage) : null,
    user: parameter('user'),
  }
}

/** The status of a finished response. Tool calls complete it like any other end. */
export function endingOf(reason: FinishReason): Pick<AnswerState, 'status' | 'reason'> {
  switch (reason) {
    case 'length':
      return { status: 'incomplete', reason: 'max_output_tokens' }
    case 'content_filter':
      return { status: 'incomplete', reason: 'content_filter' }
    case 'stop':
    case 'tool_calls':
      return { status: 'completed' }
  }
}

/** Clients read the details unconditionally, so unknown values are 0. */
function writeUsage(usage: Usage): JsonObject {
  const {
    promptTokens,
    completionTokens,
    cachedTokens = 0,
    cacheWriteTokens = 0,
    reasoningTokens = 0,
  } = usage
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: cacheWriteTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  }
}

/**
 * A tool as a response repeats it. A request may omit `strict` and `parameters` of a function (`FunctionToolParam`); a
 * response has both (`FunctionTool`), as null if the client omitted them.
 */
function offeredTool(tool: JsonObject): JsonObject {
  if (tool.type === 'function')
    return { ...tool, parameters: tool.parameters ?? null, strict: tool.strict ?? null }
  if (tool.type !== 'namespace') return tool
  return { ...tool, description: tool.description ?? '', tools: objectsIn(tool.tools).map(offeredTool) }
}

/** The `tool_choice` as a response repeats it. Some clients nest the name of a function, as in chat completions. */
function chosenTool(choice: unknown): unknown {
  if (!isObject(choice) || choice.name !== undefined) return choice ?? 'auto'
  const { function: functionMember, ...rest } = choice
  return isObject(functionMember) ? { ...rest, name: functionMember.name } : choice
}

function textOptions(text: unknown): JsonObject {
  const options = objectOf(text)
  const format = isObject(options.format) ? options.format : { type: 'text' }
  return {
    ...options,
    format: format.type === 'json_schema' ? { ...format, name: format.name ?? 'response' } : format,
  }
}

function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {}
}

/** Prefix of an item's id. `ntc`: a call of a tool with its own item type. */
export type ItemPrefix = 'msg' | 'rs' | 'fc' | 'ctc' | 'ntc' | 'ig'

/** The id of a response, from its random part. */
export function responseId(id: string): string {
  return `resp_${id}`
}

/** The id of the item at `index` of a response: the same in every event, and it contains the response's id. */
export function itemId(prefix: ItemPrefix, id: string, index: number): string {
  return `${prefix}_${id}_${index}`
}

/** The id of an item's response; undefined if the router did not create the item's id. */
export function responseIdOfItem(item: string): string | undefined {
  const id = /^(?:msg|rs|fc|ctc|ntc|ig)_(\w+)_\d+$/.exec(item)?.[1]
  return id === undefined ? undefined : responseId(id)
}
