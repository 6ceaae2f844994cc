import {
  booleanOf,
  filledTextOf,
  isObject,
  type JsonObject,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ToolChoice, ToolDefinition } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { readCacheControl } from '../../shared/cache-control.ts'
import { customToolAsFunction } from '../../shared/tools/custom-tools.ts'
import { allowedTools, callableTools, declaredTool } from '../../shared/tools/declared-tools.ts'
import { normalizedChoice } from './tool-choice.ts'

export interface OfferedTools {
  tools: ToolDefinition[]
  toolChoice?: ToolChoice
}

/** Tools and the choice among them, from `tools` and `tool_choice` or the deprecated `functions` and `function_call`. */
export function readTools(body: JsonObject): OfferedTools {
  const sent: unknown[] = Array.isArray(body.tools) ? body.tools : []
  const tools = sent.map((tool, index) => readTool(tool, `tools[${index}]`))
  if (tools.length === 0 && Array.isArray(body.functions)) {
    const functions = body.functions.map((definition: unknown, index) =>
      readFunction(definition, `functions[${index}]`),
    )
    return readEitherChoice(body, functions)
  }
  return readEitherChoice(body, tools)
}

function readTool(tool: unknown, path: string): ToolDefinition {
  const type = isObject(tool) ? (tool.type ?? 'function') : undefined
  // The Responses API has the definition in the tool itself.
  const isFlat = isObject(tool) && typeof tool.name === 'string'
  if (isObject(tool) && type === 'custom') {
    return {
      ...readCustom(tool.custom ?? (isFlat ? tool : undefined), `${path}.custom`),
      ...readCacheControl(tool),
    }
  }
  if (isObject(tool) && type === 'function') {
    const definition = tool.function ?? (isFlat ? tool : undefined)
    return { ...readFunction(definition, `${path}.function`), ...readCacheControl(tool) }
  }
  throw badRequest(
    `'${path}.type' must be function or custom: this model's upstream supports no other tools`,
    `${path}.type`,
  )
}

/** The grammar of a custom tool is nested one level deeper than in the Responses API. */
function readCustom(custom: unknown, path: string): ToolDefinition {
  const name = isObject(custom) ? filledTextOf(custom.name) : undefined
  if (!isObject(custom) || name === undefined) {
    throw badRequest(`'${path}' must be an object with a name`, path)
  }
  const format = isObject(custom.format) && custom.format.type === 'grammar' ? custom.format : {}
  const isFlat = format.definition !== undefined
  return customToolAsFunction(name, textOf(custom.description), isFlat ? format : format.grammar)
}

function readFunction(definition: unknown, path: string): ToolDefinition {
  const name = isObject(definition) ? filledTextOf(definition.name) : undefined
  if (!isObject(definition) || name === undefined) {
    throw badRequest(`'${path}' must be an object with a name`, path)
  }
  const { parameters } = definition
  return {
    name,
    ...present({
      description: textOf(definition.description),
      parameters: isObject(parameters) ? parameters : undefined,
      strict: booleanOf(definition.strict),
    }),
    ...readCacheControl(definition),
  }
}

/** The choice in its current form, which counts even for deprecated definitions, otherwise in the deprecated form. */
function readEitherChoice(body: JsonObject, tools: ToolDefinition[]): OfferedTools {
  const { tool_choice: choice, function_call: call } = body
  if (choice !== undefined && choice !== null) return readChoice(choice, tools)
  return { tools, ...readFunctionCall(call, tools) }
}

function readFunctionCall(call: unknown, tools: readonly ToolDefinition[]): { toolChoice?: ToolChoice } {
  if (call === undefined || call === null) return {}
  if (call === 'none' || call === 'auto') return { toolChoice: call }
  return { toolChoice: namedChoice(call, tools, 'function_call') }
}

function readChoice(sent: unknown, tools: ToolDefinition[]): OfferedTools {
  const choice = normalizedChoice(sent)
  if (choice === 'none' || choice === 'auto') return { tools, toolChoice: choice }
  if (choice === 'required') return { tools: callableTools(tools, 'tool_choice'), toolChoice: choice }
  if (isObject(choice)) {
    if (choice.type === 'allowed_tools') return readAllowed(choice.allowed_tools, tools)
    if (choice.type === 'function')
      return { tools, toolChoice: namedChoice(choice.function, tools, 'tool_choice.function') }
    if (choice.type === 'custom')
      return { tools, toolChoice: namedChoice(choice.custom, tools, 'tool_choice.custom') }
  }
  throw badRequest(
    "'tool_choice' must be none, auto, required, or an object of type function or custom",
    'tool_choice',
  )
}

/** OpenAI keeps the whole list of tools for its prompt cache; other servers get only the allowed ones. */
function readAllowed(allowed: unknown, tools: readonly ToolDefinition[]): OfferedTools {
  const path = 'tool_choice.allowed_tools'
  const mode = isObject(allowed) ? allowed.mode : undefined
  if (!isObject(allowed) || (mode !== 'auto' && mode !== 'required')) {
    throw badRequest(`'${path}.mode' must be auto or required`, `${path}.mode`)
  }
  if (!Array.isArray(allowed.tools)) throw badRequest(`'${path}.tools' must be a list`, `${path}.tools`)
  const names = allowed.tools.map((tool: unknown) => {
    if (!isObject(tool)) return undefined
    const definition = tool.function ?? tool.custom ?? tool
    return isObject(definition) ? definition.name : undefined
  })
  const allowedDefinitions = allowedTools(tools, names, `${path}.tools`)
  return {
    tools: mode === 'required' ? callableTools(allowedDefinitions, `${path}.tools`) : allowedDefinitions,
    toolChoice: mode,
  }
}

function namedChoice(choice: unknown, tools: readonly ToolDefinition[], path: string): ToolChoice {
  const { name } = declaredTool(tools, isObject(choice) ? choice.name : undefined, `${path}.name`)
  return { name }
}
