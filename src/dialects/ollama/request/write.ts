import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort, ResponseFormat, ToolDefinition } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { Drop, WriteRequestOptions } from '../../../sdk/write-options.ts'
import { reportCacheControl } from '../../shared/cache-control.ts'
import { choiceSchema, rejectConstraint } from '../../shared/output-constraints.ts'
import {
  bookkeepingMembers,
  reportFormatDescription,
  supportedPromptOptions,
} from '../../shared/prompt-options.ts'
import { writeSampling } from '../../shared/sampling.ts'
import { reportSignatures } from '../../shared/signatures.ts'
import { foldSystemTurns } from '../../shared/system-turns.ts'
import { inCallOrder } from '../../shared/tools/tool-results.ts'
import { writeMessages } from './messages-write.ts'
import { sampling } from './sampling.ts'

/** Ollama's own members, which clients of other dialects may send too. */
const ollamaMembers: ReadonlySet<string> = new Set(['truncate', 'shift'])

/** The body of `POST /api/chat`. Throws `bad_request` for unsupported features without which the response would differ. */
export function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
  const { drop } = options
  reportSignatures(request, drop)
  supportedPromptOptions({}, request, drop)
  reportFormatDescription(request, drop)
  reportCacheControl(request, drop)
  const { ollama } = request
  const { logprobs, top_logprobs, ...shared } = writeSampling(sampling, request.sampling, options)
  const extras = splitExtras(request.extras, drop)
  const tools = offeredTools(request, drop)
  const format = formatOf(request.responseFormat) ?? extras.format
  const think = request.reasoningEffort === undefined ? undefined : thinkOf(request.reasoningEffort)
  // Options that the client addressed to Ollama override the fields that all dialects share.
  const engine = { ...shared, ...extras.options, ...ollama?.options }
  return {
    model: options.model,
    messages: writeMessages(inCallOrder(foldSystemTurns(request.messages, options)), drop),
    // Always explicit: Ollama streams by default.
    stream: request.stream,
    ...(tools.length === 0 ? {} : { tools: tools.map(writeTool) }),
    ...(format === undefined ? {} : { format }),
    ...(think === undefined ? {} : { think }),
    ...(Object.keys(engine).length === 0 ? {} : { options: engine }),
    ...(ollama?.keepAlive === undefined ? {} : { keep_alive: ollama.keepAlive }),
    ...present({ logprobs, top_logprobs }),
    ...extras.members,
  }
}

function splitExtras(
  extras: JsonObject,
  drop: Drop,
): { members: JsonObject; options: JsonObject; format?: JsonObject } {
  const members: JsonObject = {}
  const options: JsonObject = {}
  let format: JsonObject | undefined
  for (const [name, value] of Object.entries(extras)) {
    if (
      value === null ||
      value === undefined ||
      bookkeepingMembers.has(name) ||
      name === 'user' ||
      name === 'stream_options'
    )
      continue
    if (name === 'num_ctx' && typeof value === 'number') options.num_ctx = value
    else if (ollamaMembers.has(name) && typeof value === 'boolean') members[name] = value
    else {
      const schema = choiceSchema(name, value)
      if (schema && !format) {
        format = schema
        drop(name, 'Ollama writes the choice as JSON, in quotes')
        continue
      }
      rejectConstraint(name, value)
      drop(name, 'Ollama has no such field')
    }
  }
  return { members, options, ...present({ format }) }
}

/** Ollama has no tool choice, so the choice can only limit which tools are offered. */
function offeredTools(request: ChatRequest, drop: Drop): ToolDefinition[] {
  const { tools, toolChoice } = request
  if (tools.length === 0 || toolChoice === 'none') return []
  if (request.parallelToolCalls === false) drop('parallel_tool_calls', 'Ollama cannot be limited to one call')
  if (tools.some((tool) => tool.strict === true)) drop('tools.strict', 'Ollama does not enforce tool schemas')
  if (toolChoice === 'required') drop('tool_choice', 'Ollama cannot be forced to call a tool')
  if (typeof toolChoice !== 'object') return tools
  const namedTools = tools.filter((tool) => tool.name === toolChoice.name)
  if (namedTools.length === 0) throw badRequest('tool_choice must name one of the tools', 'tool_choice')
  drop('tool_choice', 'Ollama cannot be forced to call a tool; only the named one was offered')
  return namedTools
}

function writeTool(tool: ToolDefinition): JsonObject {
  return {
    type: 'function',
    function: {
      name: tool.name,
      ...(tool.description === undefined ? {} : { description: tool.description }),
      // Many templates iterate over the parameters without checking that there are any.
      parameters: tool.parameters ?? { type: 'object', properties: {} },
    },
  }
}

function formatOf(format: ResponseFormat | undefined): unknown {
  switch (format?.type) {
    case 'json':
      return 'json'
    case 'schema':
      return format.schema
    case 'text':
    case undefined:
      return undefined
  }
}

/** Maps levels as Ollama's own OpenAI endpoint does: there are none below `low`, and none between `high` and `max`. */
function thinkOf(effort: ReasoningEffort): boolean | string {
  switch (effort) {
    case 'none':
      return false
    case 'on':
      return true
    case 'minimal':
    case 'low':
      return 'low'
    case 'medium':
    case 'high':
      return effort
    case 'xhigh':
    case 'max':
      return 'max'
  }
}
