import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatRequest, ResponseFormat, ToolChoice, ToolDefinition } from '../../../sdk/chat.ts'
import type { WriteRequestOptions } from '../../../sdk/write-options.ts'
import { reportCacheControl } from '../../shared/cache-control.ts'
import { reportOllamaMembers } from '../../shared/ollama-members.ts'
import { reportFormatDescription, supportedPromptOptions, writeExtras } from '../../shared/prompt-options.ts'
import { writeSampling } from '../../shared/sampling.ts'
import { foldSystemTurns } from '../../shared/system-turns.ts'
import { withAllResults } from '../../shared/tools/tool-results.ts'
import { writeContents } from './contents-write.ts'
import { writeReasoning } from './reasoning.ts'
import { sampling } from './sampling.ts'

/** Gemini's own members, none of which has a different meaning in another dialect. */
const geminiMembers: ReadonlySet<string> = new Set(['safetySettings', 'cachedContent', 'labels'])

/**
 * The body of `generateContent` for a client of another dialect. Throws `bad_request` for unsupported features without which
 * the response would differ. Source: Gemini API reference, "Generating content".
 */
export function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
  const { drop, model } = options
  const messages = withAllResults(foldSystemTurns(request.messages, options))
  const { systemInstruction, contents } = writeContents(messages, options)
  const config = {
    ...writeSampling(sampling, request.sampling, options),
    ...writeFormat(request.responseFormat),
    ...present({ thinkingConfig: writeReasoning(request, model, drop) }),
  }
  reportOllamaMembers(request.ollama, drop)
  supportedPromptOptions({}, request, drop)
  reportCacheControl(request, drop)
  if (request.parallelToolCalls === false)
    drop('parallel_tool_calls', 'Gemini decides how many calls a turn has')
  reportFormatDescription(request, drop)
  if (request.tools.some(({ strict }) => strict))
    drop('tools.strict', 'Gemini has no setting to enforce tool schemas')
  return {
    ...present({ systemInstruction }),
    contents,
    ...writeTools(request.tools, request.toolChoice),
    ...(Object.keys(config).length === 0 ? {} : { generationConfig: config }),
    ...writeExtras(request.extras, { members: geminiMembers, drop, why: 'Gemini has no such field' }),
  }
}

function writeFormat(format: ResponseFormat | undefined): JsonObject {
  if (format === undefined || format.type === 'text') return {}
  const schema = format.type === 'schema' ? { responseJsonSchema: format.schema } : {}
  return { responseMimeType: 'application/json', ...schema }
}

function writeTools(tools: readonly ToolDefinition[], choice: ToolChoice | undefined): JsonObject {
  if (tools.length === 0) return {}
  const functionCallingConfig = writeChoice(choice)
  return {
    tools: [{ functionDeclarations: tools.map(writeTool) }],
    ...(functionCallingConfig ? { toolConfig: { functionCallingConfig } } : {}),
  }
}

function writeTool({ name, description, parameters }: ToolDefinition): JsonObject {
  return { name, ...present({ description, parametersJsonSchema: parameters }) }
}

function writeChoice(choice: ToolChoice | undefined): JsonObject | undefined {
  switch (choice) {
    case undefined:
      return undefined
    case 'none':
      return { mode: 'NONE' }
    case 'auto':
      return { mode: 'AUTO' }
    case 'required':
      return { mode: 'ANY' }
    default:
      return { mode: 'ANY', allowedFunctionNames: [choice.name] }
  }
}
