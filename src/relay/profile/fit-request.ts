import { isDeepStrictEqual } from 'node:util'
import { isObject } from '../../lib/json/read.ts'
import type { ChatRequest, ResponseFormat, ToolDefinition } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Profile } from '../../sdk/profile.ts'
import type { Sampling } from '../../sdk/sampling.ts'
import type { Drop } from '../../sdk/write-options.ts'
import { fitSampling } from './fit-sampling.ts'
import { fitCallIds, fitUser, limitsCallIds } from './identifiers.ts'
import { fitPropertyNames, type PropertyNames } from './property-names.ts'
import { withoutKeywords, withoutRootKeywords } from './schema-keywords.ts'
import { fitToolNames, type ToolNames } from './tool-names.ts'

export interface FittedRequest {
  request: ChatRequest
  /** Original names of renamed tools. */
  names: ToolNames
  /** Original names of renamed parameters. */
  properties: PropertyNames
}

const nothing = { names: new Map(), properties: new Map() }

/**
 * Adapts a request to a model, independently of the dialect it is written in. Every change is reported; a
 * passthrough request is never adapted. Throws `bad_request` for a limit of no tokens.
 */
export function fitRequest(
  sent: ChatRequest,
  profile: Profile | undefined,
  { operation, drop }: { operation: Operation; drop: Drop },
): FittedRequest {
  checkLimit(sent.sampling)
  const unique = withoutRepeatedTools(sent, drop)
  if (!profile) return { request: unique, ...nothing }
  const { request: renamed, properties } = fitPropertyNames(unique, profile)
  const { request, names } = fitToolNames(renamed, profile)
  const { user, ...rest } = request
  const fitted: ChatRequest = { ...rest, sampling: fitSampling(request.sampling, profile, drop) }
  const fittedUser = fitUser(user, profile, drop)
  if (fittedUser !== undefined) fitted.user = fittedUser
  if (limitsCallIds(profile)) fitted.messages = fitCallIds(fitted.messages, profile)
  if (profile.prefill === false) fitEnd(fitted, drop)
  fitEffort(fitted, profile, { operation, drop })
  fitSchemas(fitted, profile, drop)
  return { request: fitted, names, properties }
}

/** With 0, Anthropic only fills its prompt cache, Ollama has no limit, and other servers reject the request. */
function checkLimit({ maxTokens }: Sampling): void {
  if (maxTokens !== undefined && maxTokens < 1)
    throw badRequest("'max_tokens' must be at least 1 for this model's upstream", 'max_tokens')
}

/** Anthropic and Gemini reject a request with two tools of the same name. */
function withoutRepeatedTools(request: ChatRequest, drop: Drop): ChatRequest {
  const first = new Map<string, ToolDefinition>()
  for (const tool of request.tools) {
    const known = first.get(tool.name)
    if (!known) first.set(tool.name, tool)
    else if (!isDeepStrictEqual(known, tool))
      drop('tools.name', 'of several tools with the same name, only the first was sent')
  }
  return first.size === request.tools.length ? request : { ...request, tools: [...first.values()] }
}

/** Whether a request must use the Responses API of its server. */
export function needsResponses(
  { tools, reasoningEffort }: ChatRequest,
  profile: Profile | undefined,
): boolean {
  return profile?.tools_with_effort === 'responses' && tools.length > 0 && reasoningEffort !== 'none'
}

/** Converts a prefilled assistant turn into a user turn that asks to continue it. */
function fitEnd(request: ChatRequest, drop: Drop): void {
  const last = request.messages.at(-1)
  if (last?.role !== 'assistant' || last.toolCalls.length > 0) return
  drop('messages.prefill', 'the model cannot continue its own turn; it was instructed to do so')
  const text = 'Continue your last message exactly where it ends, without repeating any of it.'
  request.messages = [...request.messages, { role: 'user', parts: [{ type: 'text', text }] }]
}

function fitEffort(
  request: ChatRequest,
  profile: Profile,
  { operation, drop }: { operation: Operation; drop: Drop },
): void {
  if (operation === 'responses' || !needsResponses(request, profile)) return
  request.reasoningEffort = 'none'
  drop(
    'reasoning_effort',
    'the model does not support reasoning with tools in chat completions; reasoning was disabled',
  )
}

function fitSchemas(request: ChatRequest, profile: Profile, drop: Drop): void {
  const {
    schema_keywords: always = [],
    strict_keywords: strict = [],
    tool_root_keywords: root = [],
  } = profile
  const { responseFormat } = request
  if (responseFormat?.type === 'schema') {
    request.responseFormat = fitFormat(
      responseFormat,
      responseFormat.strict ? [...always, ...strict] : always,
      drop,
    )
  }
  if (strict.length === 0 && root.length === 0) return
  request.tools = request.tools.map((tool) => fitTool(tool, { strict, root }, drop))
}

const moved = 'the upstream rejects some of its keywords; they were moved into descriptions'

function fitFormat(
  format: ResponseFormat & { type: 'schema' },
  keywords: readonly string[],
  drop: Drop,
): ResponseFormat {
  const schema = withoutKeywords(format.schema, new Set(keywords))
  if (schema === format.schema) return format
  drop('response_format.schema', moved)
  return { ...format, schema }
}

function fitTool(
  tool: ToolDefinition,
  { strict, root }: { strict: readonly string[]; root: readonly string[] },
  drop: Drop,
): ToolDefinition {
  if (!tool.parameters) return tool
  const inner = tool.strict === true ? withoutKeywords(tool.parameters, new Set(strict)) : tool.parameters
  const parameters = isObject(inner) ? withoutRootKeywords(inner, root) : tool.parameters
  if (parameters === tool.parameters) return tool
  drop('tools.parameters', moved)
  return { ...tool, parameters }
}
