import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatRequest, ToolChoice, ToolDefinition } from '../../../sdk/chat.ts'
import { toWireName } from '../tool-identifiers.ts'

/** Format: Anthropic API reference, "Create a Message", `tools` and `tool_choice`. */
export function writeTools(request: ChatRequest): JsonObject {
  const { tools, toolChoice, parallelToolCalls } = request
  if (tools.length === 0) return writeEarlierTools(request)
  return {
    tools: tools.map((tool, index) => writeTool(tool, `tools[${index}].function.name`)),
    ...present({ tool_choice: writeChoice(toolChoice, parallelToolCalls === false) }),
  }
}

function writeTool(tool: ToolDefinition, param: string): JsonObject {
  const { name, description, parameters, strict, cacheControl } = tool
  return {
    name: toWireName(name, param),
    ...present({ description }),
    // The schema must be that of an object, even without arguments.
    input_schema: { properties: {}, ...parameters, type: 'object' },
    ...present({ strict, cache_control: cacheControl }),
  }
}

function writeChoice(choice: ToolChoice | undefined, single: boolean): JsonObject | undefined {
  const limit = single ? { disable_parallel_tool_use: true } : {}
  switch (choice) {
    case undefined:
      return single ? { type: 'auto', ...limit } : undefined
    case 'none':
      return { type: 'none' }
    case 'auto':
      return { type: 'auto', ...limit }
    case 'required':
      return { type: 'any', ...limit }
    default:
      return { type: 'tool', name: toWireName(choice.name, 'tool_choice.function.name'), ...limit }
  }
}

/** A conversation with tool calls is rejected without tool definitions, so the called tools are defined but disabled. */
function writeEarlierTools({ messages }: ChatRequest): JsonObject {
  const names = messages.flatMap((message) =>
    message.role === 'assistant' ? message.toolCalls.map(({ name }) => name) : [],
  )
  if (names.length === 0) return {}
  const tools = [...new Set(names)].map((name) => writeTool({ name }, 'messages.tool_calls.function.name'))
  return { tools, tool_choice: { type: 'none' } }
}
