import { type JsonObject, present } from '../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort, ResponseFormat, ToolDefinition } from '../../sdk/chat.ts'
import type { Drop, Flavour, WriteRequestOptions } from '../../sdk/dialect.ts'
import { writeSampling } from '../shared/sampling.ts'
import { writeMessages } from './messages-write.ts'
import { sampling } from './sampling.ts'

/**
 * The body of `POST /v1/chat/completions` for a client of another dialect. Nothing is sent that the client did not ask
 * for, but for `stream`, which is always said, and the token counts of a stream, which the router needs.
 */
export function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
  const { flavour, drop } = options
  reportOllama(request.ollama, drop)
  for (const name of Object.keys(request.extras)) drop(name, 'OpenAI chat completions have no such field')
  return {
    model: options.model,
    messages: writeMessages(request.messages, options),
    stream: request.stream,
    ...(request.stream ? { stream_options: { include_usage: true } } : {}),
    ...writeSampling(sampling, request.sampling, options),
    ...writeTools(request, flavour),
    ...present({
      response_format: writeResponseFormat(request.responseFormat, flavour),
      reasoning_effort: writeEffort(request.reasoningEffort, options),
      user: request.user,
    }),
  }
}

export function reportOllama(ollama: ChatRequest['ollama'], drop: Drop): void {
  if (ollama?.keepAlive !== undefined)
    drop('keep_alive', 'the upstream decides itself how long a model stays loaded')
  for (const name of Object.keys(ollama?.options ?? {})) {
    drop(`options.${name}`, 'the upstream sets this when it starts, not per request')
  }
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
      if (flavour.jsonObject !== false) return { type: 'json_object' }
      return { type: 'json_schema', json_schema: { name: 'response', schema: { type: 'object' } } }
    case 'schema': {
      const { name = 'response', description, schema, strict } = format
      return { type: 'json_schema', json_schema: { name, schema, ...present({ description, strict }) } }
    }
  }
}

const scale = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']

/** The level asked for, else the nearest that the server knows; of two as near, the higher. */
function writeEffort(
  effort: ReasoningEffort | undefined,
  { flavour, drop }: WriteRequestOptions,
): string | undefined {
  if (effort === undefined) return undefined
  const wanted = effort === 'on' ? 'medium' : effort
  const known = flavour.reasoningEfforts
  if (!known || known.includes(wanted)) return wanted
  // No thoughts at all is not a low level: nobody who asked for a level gets it.
  const levels = known.filter((level) => level !== 'none' && scale.includes(level))
  const distance = (level: string): number => Math.abs(scale.indexOf(level) - scale.indexOf(wanted))
  const nearest = levels.toReversed().reduce<string | undefined>((best, level) => {
    return best === undefined || distance(level) < distance(best) ? level : best
  }, undefined)
  if (nearest === undefined) drop('reasoning_effort', 'the upstream has no levels of reasoning')
  else if (wanted === 'none')
    drop('reasoning_effort', 'the upstream cannot switch reasoning off; its lowest level was asked for')
  return nearest
}
