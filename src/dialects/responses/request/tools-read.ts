import {
  booleanOf,
  filledTextOf,
  isObject,
  type JsonObject,
  objectsIn,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ToolChoice, ToolDefinition } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { ClientTool, ClientTools } from '../client-tools.ts'

export interface OfferedTools {
  tools: ToolDefinition[]
  toolChoice?: ToolChoice
  /** Tools without an equivalent, by their reported name. */
  dropped: JsonObject
}

/** The tools that the client runs, and the choice among them. Those that OpenAI itself would run are reported as dropped. */
export function readTools(body: JsonObject, offered: ClientTools): OfferedTools {
  const dropped: JsonObject = { ...offered.dropped }
  const tools = offered.all.map((tool) => readTool(tool, dropped))
  return { ...readChoice(body.tool_choice, tools, offered), dropped }
}

function readTool(tool: ClientTool, dropped: JsonObject): ToolDefinition {
  const { definition, native, path, wireName } = tool
  if (native) {
    const { parameters } = definition
    return {
      name: wireName,
      description: filledTextOf(definition.description) ?? native.description,
      parameters: isObject(parameters) ? parameters : native.parameters,
    }
  }
  nameOf(definition, path)
  const read = definition.type === 'custom' ? readCustom(definition, dropped) : readFunction(definition)
  return { name: wireName, ...read }
}

function readFunction(tool: JsonObject): Omit<ToolDefinition, 'name'> {
  const { parameters } = tool
  return present({
    description: textOf(tool.description),
    parameters: isObject(parameters) ? parameters : undefined,
    strict: booleanOf(tool.strict),
  })
}

/** A function with the single argument `input`; its calls are converted back in the response. */
function readCustom(tool: JsonObject, dropped: JsonObject): Omit<ToolDefinition, 'name'> {
  const format = isObject(tool.format) && tool.format.type === 'grammar' ? tool.format : undefined
  if (format) dropped[`tools.${textOf(tool.name) ?? ''}.format`] = format
  const grammar = textOf(format?.definition)
  // Nothing enforces the grammar, so it is at least described to the model.
  const told = grammar && `The input must follow this ${textOf(format?.syntax) ?? ''} grammar:\n${grammar}`
  const description = [textOf(tool.description), told].filter(Boolean).join('\n\n')
  return {
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

function readChoice(
  sent: unknown,
  tools: ToolDefinition[],
  offered: ClientTools,
): Omit<OfferedTools, 'dropped'> {
  const choice = plainChoice(sent)
  if (choice === undefined || choice === null) return { tools }
  if (choice === 'none' || choice === 'auto') return { tools, toolChoice: choice }
  if (choice === 'required') return { tools: someOf(tools, 'tool_choice'), toolChoice: choice }
  if (isObject(choice)) {
    if (choice.type === 'allowed_tools') return readAllowed(choice, tools, offered)
    const named = namedBy(choice, offered)
    if (named) return chosen(named, tools, 'tool_choice.name')
    throw badRequest(
      `The tool '${textOf(choice.type) ?? ''}' is not supported, so it cannot be chosen`,
      'tool_choice',
      'unsupported_value',
    )
  }
  throw badRequest("'tool_choice' must be none, auto, required, or an object with a type", 'tool_choice')
}

/** `allowed_tools` keeps the list for OpenAI's prompt cache; elsewhere it means offering fewer tools. */
function readAllowed(
  allowed: JsonObject,
  tools: readonly ToolDefinition[],
  offered: ClientTools,
): Omit<OfferedTools, 'dropped'> {
  const { mode } = allowed
  if (mode !== 'auto' && mode !== 'required') {
    throw badRequest("'tool_choice.mode' must be auto or required", 'tool_choice.mode')
  }
  const names = new Set(objectsIn(allowed.tools).flatMap((tool) => namedBy(tool, offered) ?? []))
  const kept = tools.filter(({ name }) => names.has(name))
  return { tools: mode === 'required' ? someOf(kept, 'tool_choice.tools') : kept, toolChoice: mode }
}

/** What the model knows the tools by that a choice names; undefined for a kind of tool that OpenAI runs. */
function namedBy(choice: JsonObject, offered: ClientTools): string[] | undefined {
  const name = textOf(choice.name) ?? ''
  const namespace = filledTextOf(choice.namespace)
  switch (choice.type ?? 'function') {
    case 'function':
    case 'custom':
      if (namespace !== undefined) return [offered.wireNameOf(name, namespace)]
      return [offered.called(name)?.wireName ?? name]
    case 'namespace':
      return offered.inNamespace(name).map(({ wireName }) => wireName)
    default: {
      const own = offered.all.filter(({ definition }) => definition.type === choice.type)
      return own.length === 0 ? undefined : own.map(({ wireName }) => wireName)
    }
  }
}

/** One tool is named; of several, as in a namespace, any may be called. */
function chosen(
  names: readonly string[],
  tools: readonly ToolDefinition[],
  path: string,
): Omit<OfferedTools, 'dropped'> {
  const kept = tools.filter(({ name }) => names.includes(name))
  const [only] = kept
  if (!only) throw badRequest("'tool_choice.name' must name one of the tools", path)
  return kept.length === 1
    ? { tools: [...tools], toolChoice: { name: only.name } }
    : { tools: kept, toolChoice: 'required' }
}

function someOf(tools: ToolDefinition[], path: string): ToolDefinition[] {
  if (tools.length > 0) return tools
  throw badRequest('A tool call is required, but none of the tools can be called', path)
}

/** A tool choice in another API's unambiguous form: a string as an object, `any`, a nested name. */
function plainChoice(choice: unknown): unknown {
  if (choice === 'any') return 'required'
  if (!isObject(choice)) return choice
  const { type, function: called } = choice
  if (type === 'none' || type === 'auto' || type === 'required') return type
  if (type === 'any') return 'required'
  if (type === 'tool') return { ...choice, type: 'function' }
  return isObject(called) ? { ...called, type: 'function' } : choice
}
