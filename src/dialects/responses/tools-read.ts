import {
  booleanOf,
  filledTextOf,
  isObject,
  type JsonObject,
  objectsIn,
  present,
  textOf,
} from '../../lib/json/read.ts'
import type { ToolChoice, ToolDefinition } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'

export interface OfferedTools {
  tools: ToolDefinition[]
  toolChoice?: ToolChoice
  /** What no other dialect can do, by the name to report it under. */
  dropped: JsonObject
}

/** Function and custom tools, and the choice among them. Tools that OpenAI itself would run are reported as dropped. */
export function readTools(body: JsonObject): OfferedTools {
  const tools: ToolDefinition[] = []
  const dropped: JsonObject = {}
  for (const [index, tool] of objectsIn(body.tools).entries()) {
    const path = `tools[${index}]`
    if (tool.type === 'function') tools.push(readFunction(tool, path))
    else if (tool.type === 'custom') tools.push(readCustom(tool, path, dropped))
    else dropped[`tools.${textOf(tool.type) ?? index}`] = tool
  }
  return { ...readChoice(body.tool_choice, tools), dropped }
}

/** Names of the tools that take free text instead of JSON arguments. */
export function customToolNames(tools: unknown): ReadonlySet<string> {
  const custom = objectsIn(tools).filter((tool) => tool.type === 'custom')
  return new Set(custom.map((tool) => textOf(tool.name) ?? ''))
}

function readFunction(tool: JsonObject, path: string): ToolDefinition {
  const { parameters } = tool
  return {
    name: nameOf(tool, path),
    ...present({
      description: textOf(tool.description),
      parameters: isObject(parameters) ? parameters : undefined,
      strict: booleanOf(tool.strict),
    }),
  }
}

/** A function with the one argument `input`; the answer turns its calls back. */
function readCustom(tool: JsonObject, path: string, dropped: JsonObject): ToolDefinition {
  const name = nameOf(tool, path)
  const format = isObject(tool.format) && tool.format.type === 'grammar' ? tool.format : undefined
  if (format) dropped[`tools.${name}.format`] = format
  const grammar = textOf(format?.definition)
  // Nothing enforces the grammar, so it is at least described to the model.
  const told = grammar && `The input must follow this ${textOf(format?.syntax) ?? ''} grammar:\n${grammar}`
  const description = [textOf(tool.description), told].filter(Boolean).join('\n\n')
  return {
    name,
    ...(description === '' ? {} : { description }),
    parameters: {
      type: 'object',
      properties: { input: { type: 'string' } },
      required: ['input'],
      additionalProperties: false,
    },
  }
}

function nameOf(tool: JsonObject, path: string): string {
  const name = filledTextOf(tool.name)
  if (name === undefined) {
    throw badRequest(`'${path}.name' is required`, `${path}.name`, 'missing_required_parameter')
  }
  return name
}

function readChoice(sent: unknown, tools: ToolDefinition[]): Omit<OfferedTools, 'dropped'> {
  const choice = plainChoice(sent)
  if (choice === undefined || choice === null) return { tools }
  if (choice === 'none' || choice === 'auto') return { tools, toolChoice: choice }
  if (choice === 'required') return { tools: someOf(tools, 'tool_choice'), toolChoice: choice }
  if (isObject(choice)) {
    if (choice.type === 'allowed_tools') return readAllowed(choice, tools)
    if (choice.type === 'function' || choice.type === 'custom') {
      return { tools, toolChoice: readNamed(choice, tools) }
    }
    throw badRequest(
      `The tool '${textOf(choice.type) ?? ''}' is not supported here, so it cannot be chosen`,
      'tool_choice',
      'unsupported_value',
    )
  }
  throw badRequest("'tool_choice' must be none, auto, required, or an object with a type", 'tool_choice')
}

/** `allowed_tools` keeps the list for OpenAI's prompt cache; elsewhere it means offering fewer tools. */
function readAllowed(allowed: JsonObject, tools: readonly ToolDefinition[]): Omit<OfferedTools, 'dropped'> {
  const { mode } = allowed
  if (mode !== 'auto' && mode !== 'required') {
    throw badRequest("'tool_choice.mode' must be auto or required", 'tool_choice.mode')
  }
  const names = new Set(objectsIn(allowed.tools).map((tool) => tool.name))
  const chosen = tools.filter(({ name }) => names.has(name))
  return { tools: mode === 'required' ? someOf(chosen, 'tool_choice.tools') : chosen, toolChoice: mode }
}

function someOf(tools: ToolDefinition[], path: string): ToolDefinition[] {
  if (tools.length > 0) return tools
  throw badRequest('A tool call is required, but none of the tools can be called here', path)
}

function readNamed(choice: JsonObject, tools: readonly ToolDefinition[]): ToolChoice {
  const name = textOf(choice.name)
  if (name === undefined || !tools.some((tool) => tool.name === name)) {
    throw badRequest("'tool_choice.name' must name one of the tools", 'tool_choice.name')
  }
  return { name }
}

/** A choice as another API writes it, where it is plain what is meant: a word as an object, `any`, a nested name. */
function plainChoice(choice: unknown): unknown {
  if (choice === 'any') return 'required'
  if (!isObject(choice)) return choice
  const { type, function: called } = choice
  if (type === 'none' || type === 'auto' || type === 'required') return type
  if (type === 'any') return 'required'
  if (type === 'tool') return { ...choice, type: 'function' }
  return isObject(called) ? { ...called, type: 'function' } : choice
}
