import type { ToolDefinition } from '../../../sdk/chat.ts'
import { badRequest, type RouterError } from '../../../sdk/errors.ts'

/** Maximum length of a name from the request in an error message, in characters. */
const maxNameLength = 128

/** The tool that a request refers to by name. Throws `bad_request` if the request declares no such tool. */
export function declaredTool(tools: readonly ToolDefinition[], name: unknown, path: string): ToolDefinition {
  const tool = tools.find((declared) => declared.name === name)
  if (tool) return tool
  throw undeclaredTool(name, path)
}

export function undeclaredTool(name: unknown, path: string): RouterError {
  const sent = typeof name === 'string' ? `, and '${name.slice(0, maxNameLength)}' is not one of them` : ''
  return badRequest(`'${path}' must name one of the tools${sent}`, path)
}

/** The tools that a list of names allows, in the order of their declaration. `path`: of the list. */
export function allowedTools(
  tools: readonly ToolDefinition[],
  names: readonly unknown[],
  path: string,
): ToolDefinition[] {
  const declared = new Set<unknown>(tools.map(({ name }) => name))
  for (const [index, name] of names.entries())
    if (!declared.has(name)) throw undeclaredTool(name, `${path}[${index}]`)
  const allowed = new Set(names)
  return tools.filter(({ name }) => allowed.has(name))
}

/** The tools of which one must be called. Throws `bad_request` if there are none. */
export function callableTools(tools: ToolDefinition[], path: string): ToolDefinition[] {
  if (tools.length > 0) return tools
  throw badRequest('A tool call is required, but none of the tools can be called', path)
}
