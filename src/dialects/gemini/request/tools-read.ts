import { booleanOf, filledTextOf, type JsonObject, present, textOf } from '../../../lib/json/read.ts'
import type { ChatRequest, ToolChoice, ToolDefinition } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { ReportField } from '../../shared/dropped-fields.ts'
import { allowedTools, callableTools } from '../../shared/tools/declared-tools.ts'
import { listIn, memberOf, objectIn } from '../members.ts'
import { readSchema } from './json-schema.ts'

/** The client's functions and the choice among them. Tools that run at Google are dropped. */
export function readTools(body: JsonObject, drop: ReportField): Pick<ChatRequest, 'tools' | 'toolChoice'> {
  const tools: ToolDefinition[] = []
  for (const [index, tool] of listIn(body, 'tools').entries()) {
    for (const [position, declaration] of listIn(tool, 'functionDeclarations').entries())
      tools.push(readDeclaration(declaration, `tools[${index}].functionDeclarations[${position}]`))
    for (const name of Object.keys(tool))
      if (name !== 'functionDeclarations' && name !== 'function_declarations') drop(`tools.${name}`)
  }
  return withChoice(tools, body, drop)
}

function readDeclaration(declaration: JsonObject, path: string): ToolDefinition {
  const name = filledTextOf(declaration.name)
  if (name === undefined) throw badRequest(`'${path}.name' must be a non-empty string`, `${path}.name`)
  return {
    name,
    ...present({
      description: textOf(declaration.description),
      parameters: readSchema(declaration, 'parameters', 'parametersJsonSchema'),
      strict: booleanOf(declaration.strict),
    }),
  }
}

/** `VALIDATED` also enforces the schemas of calls. If several names are allowed, only those tools are offered. */
function withChoice(
  tools: ToolDefinition[],
  body: JsonObject,
  drop: ReportField,
): Pick<ChatRequest, 'tools' | 'toolChoice'> {
  const config = objectIn(objectIn(body, 'toolConfig') ?? {}, 'functionCallingConfig')
  if (!config) return { tools }
  const path = 'toolConfig.functionCallingConfig'
  const names = memberOf(config, 'allowedFunctionNames') ?? []
  if (!Array.isArray(names)) {
    throw badRequest(`'${path}.allowedFunctionNames' must be a list`, `${path}.allowedFunctionNames`)
  }
  const isLimited = names.length > 0
  const offered = isLimited ? allowedTools(tools, names, `${path}.allowedFunctionNames`) : tools
  const mode = textOf(config.mode)?.toUpperCase()
  if (mode === 'VALIDATED') drop(`${path}.mode`)
  if (mode === 'ANY') callableTools(offered, `${path}.mode`)
  const [only] = offered
  const choice: Partial<Record<string, ToolChoice>> = {
    NONE: 'none',
    AUTO: 'auto',
    VALIDATED: 'auto',
    ANY: isLimited && offered.length === 1 && only ? { name: only.name } : 'required',
  }
  const toolChoice = choice[mode ?? '']
  const isNamed = typeof toolChoice === 'object'
  return {
    tools: isNamed ? tools : offered,
    ...present({ toolChoice: offered.length > 0 ? toolChoice : undefined }),
  }
}
