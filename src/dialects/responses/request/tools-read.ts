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
import { customToolAsFunction } from '../../shared/tools/custom-tools.ts'
import { callableTools, undeclaredTool } from '../../shared/tools/declared-tools.ts'
import type { ClientTool, ClientTools } from '../client-tools.ts'

export interface OfferedTools {
  tools: ToolDefinition[]
  toolChoice?: ToolChoice
  /** Tools without an equivalent, by the field that is reported. */
  dropped: JsonObject
}

/** The tools that the client runs, and the choice among them. Tools that OpenAI runs are dropped. */
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
  if (filledTextOf(definition.name) === undefined) {
    throw badRequest(`'${path}.name' is required`, `${path}.name`, 'missing_required_parameter')
  }
  return definition.type === 'custom'
    ? readCustom(definition, wireName, dropped)
    : readFunction(definition, wireName)
}

function readFunction(tool: JsonObject, name: string): ToolDefinition {
  const { parameters } = tool
  return {
    name,
    ...present({
      description: textOf(tool.description),
      parameters: isObject(parameters) ? parameters : undefined,
      strict: booleanOf(tool.strict),
    }),
  }
}

function readCustom(tool: JsonObject, name: string, dropped: JsonObject): ToolDefinition {
  const format = isObject(tool.format) && tool.format.type === 'grammar' ? tool.format : undefined
  if (format) dropped[`tools.${textOf(tool.name) ?? ''}.format`] = format
  return customToolAsFunction(name, textOf(tool.description), format)
}

function readChoice(
  sent: unknown,
  tools: ToolDefinition[],
  offered: ClientTools,
): Omit<OfferedTools, 'dropped'> {
  const choice = normalizedChoice(sent)
  if (choice === undefined || choice === null) return { tools }
  if (choice === 'none' || choice === 'auto') return { tools, toolChoice: choice }
  if (choice === 'required') return { tools: callableTools(tools, 'tool_choice'), toolChoice: choice }
  if (isObject(choice)) {
    if (choice.type === 'allowed_tools') return readAllowed(choice, tools, offered)
    const names = wireNamesOf(choice, offered)
    if (names) return chooseAmong(names, tools, 'tool_choice.name')
    throw badRequest(
      `The tool '${textOf(choice.type) ?? ''}' is not supported, so it cannot be chosen`,
      'tool_choice',
      'unsupported_value',
    )
  }
  throw badRequest("'tool_choice' must be none, auto, required, or an object with a type", 'tool_choice')
}

/** OpenAI keeps the whole list of tools for its prompt cache; other servers get only the allowed ones. */
function readAllowed(
  allowed: JsonObject,
  tools: readonly ToolDefinition[],
  offered: ClientTools,
): Omit<OfferedTools, 'dropped'> {
  const { mode } = allowed
  if (mode !== 'auto' && mode !== 'required') {
    throw badRequest("'tool_choice.mode' must be auto or required", 'tool_choice.mode')
  }
  if (!Array.isArray(allowed.tools))
    throw badRequest("'tool_choice.tools' must be a list", 'tool_choice.tools')
  const declared = new Set(tools.map(({ name }) => name))
  const names = new Set<string>()
  /** A repeated entry may name many tools each time. */
  const seen = new Set<string>()
  for (const [index, tool] of allowed.tools.entries()) {
    const { type, name, namespace, server_label: server } = isObject(tool) ? tool : {}
    const key = JSON.stringify([type, name, namespace, server])
    if (isObject(tool) && seen.has(key)) continue
    seen.add(key)
    const path = `tool_choice.tools[${index}]`
    for (const name of allowedWireNames(tool, offered, path)) {
      if (!declared.has(name)) throw undeclaredTool(name, path)
      names.add(name)
    }
  }
  const allowedTools = tools.filter(({ name }) => names.has(name))
  return {
    tools: mode === 'required' ? callableTools(allowedTools, 'tool_choice.tools') : allowedTools,
    toolChoice: mode,
  }
}

/** The wire names of an allowed tool; none if it is declared and runs at OpenAI, because it is reported as dropped. */
function allowedWireNames(tool: unknown, offered: ClientTools, path: string): string[] {
  if (!isObject(tool)) throw undeclaredTool(undefined, path)
  const names = wireNamesOf(tool, offered)
  if (names === undefined && offered.declaresHosted(tool)) return []
  if (!names?.length) throw undeclaredTool(tool.name ?? tool.type, path)
  return names
}

/** The wire names of the tools that a choice refers to; undefined for a type of tool that OpenAI runs. */
function wireNamesOf(choice: JsonObject, offered: ClientTools): string[] | undefined {
  const name = textOf(choice.name) ?? ''
  const namespace = filledTextOf(choice.namespace)
  switch (choice.type ?? 'function') {
    case 'function':
    case 'custom':
      if (namespace !== undefined) return [offered.wireNameOf(name, namespace)]
      return [offered.findByWireName(name)?.wireName ?? name]
    case 'namespace':
      return offered.inNamespace(name).map(({ wireName }) => wireName)
    default: {
      return offered.ofType(choice.type)?.map(({ wireName }) => wireName)
    }
  }
}

/** A single tool is named; of several, as in a namespace, any one must be called. */
function chooseAmong(
  names: readonly string[],
  tools: readonly ToolDefinition[],
  path: string,
): Omit<OfferedTools, 'dropped'> {
  const allowed = new Set(names)
  const chosenTools = tools.filter(({ name }) => allowed.has(name))
  const [only] = chosenTools
  if (!only) throw undeclaredTool(names[0], path)
  return chosenTools.length === 1
    ? { tools: [...tools], toolChoice: { name: only.name } }
    : { tools: chosenTools, toolChoice: 'required' }
}

/**
 * A `tool_choice` in this dialect's form, if a client sends that of another API: a string as an object, `any`, a nested name.
 */
function normalizedChoice(choice: unknown): unknown {
  if (choice === 'any') return 'required'
  if (!isObject(choice)) return choice
  const { type, function: functionMember } = choice
  if (type === 'none' || type === 'auto' || type === 'required') return type
  if (type === 'any') return 'required'
  if (type === 'tool') return { ...choice, type: 'function' }
  return isObject(functionMember) ? { ...functionMember, type: 'function' } : choice
}
