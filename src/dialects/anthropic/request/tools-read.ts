import {
  filledTextOf,
  isObject,
  type JsonObject,
  objectsIn,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ToolChoice, ToolDefinition } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { readCacheControl } from '../../shared/cache-control.ts'
import type { ReportField } from '../../shared/dropped-fields.ts'
import { callableTools, declaredTool } from '../../shared/tools/declared-tools.ts'
import { clientToolOf } from './client-tools.ts'

export interface OfferedTools {
  tools: ToolDefinition[]
  toolChoice?: ToolChoice
  parallelToolCalls?: boolean
}

/**
 * Tools and the choice among them. Tools that run at Anthropic are dropped, or rejected if there are no others; those that the
 * client runs become functions.
 */
export function readTools(body: JsonObject, drop: ReportField): OfferedTools {
  const sent = objectsIn(body.tools)
  const tools: ToolDefinition[] = []
  for (const [index, tool] of sent.entries()) {
    const type = filledTextOf(tool.type) ?? 'custom'
    const clientTool = clientToolOf(tool)
    if (clientTool) tools.push(clientTool)
    else if (type === 'custom' || isObject(tool.input_schema)) tools.push(readTool(tool, `tools[${index}]`))
    else drop(`tools.${type}`)
  }
  if (tools.length === 0 && sent.some(runsAtAnthropic)) {
    throw badRequest(
      "'tools' contains only tools that run at Anthropic, which this model does not have",
      'tools',
    )
  }
  return { tools, ...readChoice(body.tool_choice, tools, sent) }
}

/** Without such a tool the response would differ. Unknown types may be optional. */
function runsAtAnthropic({ type }: JsonObject): boolean {
  return typeof type === 'string' && /^(?:web_search|web_fetch|code_execution|tool_search|mcp)/.test(type)
}

function readTool(tool: JsonObject, path: string): ToolDefinition {
  const name = filledTextOf(tool.name)
  if (name === undefined) throw badRequest(`'${path}.name' must be a non-empty string`, `${path}.name`)
  return {
    name,
    ...present({
      description: textOf(tool.description),
      parameters: isObject(tool.input_schema) ? tool.input_schema : undefined,
      strict: typeof tool.strict === 'boolean' ? tool.strict : undefined,
    }),
    ...readCacheControl(tool),
  }
}

/** A plain string, and the values of OpenAI's API, are accepted too. */
function readChoice(
  sent: unknown,
  tools: ToolDefinition[],
  declared: readonly JsonObject[],
): Omit<OfferedTools, 'tools'> {
  const choice = typeof sent === 'string' ? { type: sent } : sent
  if (!isObject(choice)) return {}
  const { disable_parallel_tool_use: single } = choice
  const parallel = typeof single === 'boolean' ? { parallelToolCalls: !single } : {}
  switch (choice.type) {
    case 'auto':
    case 'none':
      return { toolChoice: choice.type, ...parallel }
    case 'any':
    case 'required':
      callableTools(tools, 'tool_choice')
      return { toolChoice: 'required', ...parallel }
    case 'tool':
    case 'function': {
      const named = isObject(choice.function) ? choice.function : choice
      const isOffered = tools.some((tool) => tool.name === named.name)
      if (!isOffered && declared.some((tool) => tool.name === named.name)) {
        throw badRequest(
          `The tool '${textOf(named.name) ?? ''}' is not supported, so it cannot be chosen`,
          'tool_choice.name',
          'unsupported_value',
        )
      }
      const { name } = declaredTool(tools, named.name, 'tool_choice.name')
      return { toolChoice: { name }, ...parallel }
    }
    default:
      throw badRequest("'tool_choice.type' must be auto, any, tool or none", 'tool_choice.type')
  }
}
