import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatMessage, ChatRequest, ResponseFormat, ToolDefinition } from '../../../sdk/chat.ts'
import type { Flavour } from '../../../sdk/profile.ts'
import type { WriteRequestOptions } from '../../../sdk/write-options.ts'
import { reportCacheControl } from '../../shared/cache-control.ts'
import { keptSeconds, reportOllamaMembers } from '../../shared/ollama-members.ts'
import { supportedPromptOptions, writeOpenaiExtras } from '../../shared/prompt-options.ts'
import { supportedEffort } from '../../shared/reasoning.ts'
import { writeSampling } from '../../shared/sampling.ts'
import { foldSystemTurns } from '../../shared/system-turns.ts'
import { withAllResults } from '../../shared/tools/tool-results.ts'
import { writeMessages } from './messages-write.ts'
import { sampling } from './sampling.ts'

/**
 * The body of `POST /v1/chat/completions` for a client of another dialect. Nothing is sent that the client did not ask
 * for, except `stream`, which is always explicit, and the token counts of a stream, which the router needs.
 */
export function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
  const { flavour, drop } = options
  const ttl = flavour.timeToLive ? keptSeconds(request.ollama?.keepAlive) : undefined
  reportOllamaMembers(request.ollama, (field, why) => {
    if (field !== 'keep_alive' || ttl === undefined) drop(field, why)
  })
  reportCacheControl(request, drop)
  const extras = writeOpenaiExtras(flavour, request, {
    drop,
    why: 'OpenAI chat completions have no such field',
  })
  const { promptCacheKey, verbosity } = supportedPromptOptions(flavour, request, drop)
  const effort = supportedEffort(flavour, request.reasoningEffort)
  if (effort.why !== undefined) drop('reasoning_effort', effort.why)
  const messages = withAllResults(foldSystemTurns(request.messages, options))
  return {
    model: options.model,
    messages: writeMessages(messages, options),
    ...(flavour.continuesFinalMessage && request.continuesAnswer ? writeContinuation(messages.at(-1)) : {}),
    stream: request.stream,
    ...(request.stream ? { stream_options: { include_usage: true } } : {}),
    ...writeSampling(sampling, request.sampling, options),
    ...writeTools(request, flavour),
    ...present({
      response_format: writeResponseFormat(request.responseFormat, flavour),
      reasoning_effort: effort.level,
      user: request.user,
      prompt_cache_key: promptCacheKey,
      verbosity,
      ttl,
    }),
    ...extras,
  }
}

/** vLLM rejects a request in which both members are true, and `add_generation_prompt` is true by default. */
function writeContinuation(last: ChatMessage | undefined): JsonObject {
  if (last?.role !== 'assistant' || last.toolCalls.length > 0) return {}
  const hasText = last.parts.some(({ text }) => text !== '')
  return hasText ? { continue_final_message: true, add_generation_prompt: false } : {}
}

/** An empty list of tools is an error on vLLM, and so is a choice without tools on OpenAI. */
function writeTools(request: ChatRequest, flavour: Flavour): JsonObject {
  const { tools, toolChoice, parallelToolCalls } = request
  if (tools.length === 0) return {}
  const rest = present({ parallel_tool_calls: parallelToolCalls })
  if (typeof toolChoice !== 'object') {
    return { tools: tools.map(writeTool), ...present({ tool_choice: toolChoice }), ...rest }
  }
  const { name } = toolChoice
  if (flavour.namedToolChoice === false) {
    return {
      tools: tools.filter((tool) => tool.name === name).map(writeTool),
      tool_choice: 'required',
      ...rest,
    }
  }
  return { tools: tools.map(writeTool), tool_choice: { type: 'function', function: { name } }, ...rest }
}

function writeTool({ name, description, parameters, strict }: ToolDefinition): JsonObject {
  return { type: 'function', function: { name, ...present({ description, parameters, strict }) } }
}

function writeResponseFormat(format: ResponseFormat | undefined, flavour: Flavour): JsonObject | undefined {
  switch (format?.type) {
    case undefined:
      return undefined
    case 'text':
      return { type: 'text' }
    case 'json':
      if (flavour.schemaIn === 'value') return { type: 'json', value: { type: 'object' } }
      if (flavour.jsonObject !== false) return { type: 'json_object' }
      return { type: 'json_schema', json_schema: { name: 'response', schema: { type: 'object' } } }
    case 'schema': {
      const { name = 'response', description, schema, strict } = format
      if (flavour.schemaIn === 'value') return { type: 'json', value: schema }
      return { type: 'json_schema', json_schema: { name, schema, ...present({ description, strict }) } }
    }
  }
}
