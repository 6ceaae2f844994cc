import { isObject, type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatRequest, ResponseFormat } from '../../../sdk/chat.ts'
import type { Drop, WriteRequestOptions } from '../../../sdk/write-options.ts'
import { reportOllamaMembers } from '../../shared/ollama-members.ts'
import { reportFormatDescription, supportedPromptOptions, writeExtras } from '../../shared/prompt-options.ts'
import { writeSampling } from '../../shared/sampling.ts'
import { reportSignatures } from '../../shared/signatures.ts'
import { writeMessages } from './messages-write.ts'
import { maxTokensWithBudget, writeReasoning } from './reasoning-write.ts'
import { sampling, thinkingVeto } from './sampling.ts'
import { writeTools } from './tools-write.ts'

/**
 * The body of `POST /v1/messages` for a client of another dialect. `max_tokens`, which Anthropic requires, is written only if
 * the client set a limit; otherwise `missingDefaults`, which is applied to every such body, adds it, so that the operator's
 * default takes precedence over the router's. Throws `bad_request` for unsupported features without which the response would
 * differ.
 */
export function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
  const { drop } = options
  reportSignatures(request, drop)
  supportedPromptOptions({}, request, drop)
  reportFormatDescription(request, drop)
  const { system, messages } = writeMessages(request.messages, drop)
  const { thinking, effort, budget, isThinking } = writeReasoning(request, options)
  const { format, instruction } = writeFormat(request.responseFormat, drop)
  if (instruction !== undefined) system.push({ type: 'text', text: instruction })
  const config = present({ effort, format })
  const written = writeSampling(sampling, request.sampling, {
    ...options,
    ...(isThinking ? { veto: thinkingVeto } : {}),
  })
  reportOllamaMembers(request.ollama, drop)
  return {
    model: options.model,
    ...(system.length === 0 ? {} : { system }),
    messages,
    stream: request.stream,
    ...written,
    ...(typeof written.max_tokens === 'number'
      ? { max_tokens: maxTokensWithBudget(budget, written.max_tokens) }
      : {}),
    ...writeTools(request),
    ...present({
      thinking,
      output_config: Object.keys(config).length > 0 ? config : undefined,
      metadata: request.user === undefined ? undefined : { user_id: request.user },
    }),
    ...writeExtras(request.extras, { members: anthropicMembers, drop, why: 'Anthropic has no such field' }),
  }
}

/** Anthropic's own members, none of which has a different meaning in another dialect. */
const anthropicMembers: ReadonlySet<string> = new Set([
  'cache_control',
  'container',
  'context_management',
  'inference_geo',
  'mcp_servers',
  'speed',
])

export interface WrittenFormat {
  /** `output_config.format`. */
  format: JsonObject | undefined
  /** Text to add to the system prompt instead. */
  instruction: string | undefined
}

/** Format: Anthropic API reference, "Structured outputs", which have no mode for JSON without a schema. */
function writeFormat(format: ResponseFormat | undefined, drop: Drop): WrittenFormat {
  switch (format?.type) {
    case undefined:
    case 'text':
      return { format: undefined, instruction: undefined }
    case 'json':
      drop('response_format', 'Anthropic has no JSON mode; the model was instructed to return JSON')
      return {
        format: undefined,
        instruction: 'Answer with one valid JSON object and nothing else: no other text, no code fence.',
      }
    case 'schema':
      return {
        format: { type: 'json_schema', schema: withClosedObjects(format.schema) },
        instruction: undefined,
      }
  }
}

/** Anthropic requires `additionalProperties: false` on objects; a schema that sets it differently is unchanged. */
function withClosedObjects(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withClosedObjects)
  if (!isObject(schema)) return schema
  const members = Object.entries(schema).map(([name, value]): [string, unknown] => {
    if (schemaMapKeywords.has(name)) return [name, isObject(value) ? closedByName(value) : value]
    return [name, schemaKeywords.has(name) ? withClosedObjects(value) : value]
  })
  const open = schema.type === 'object' && schema.additionalProperties === undefined
  return { ...Object.fromEntries(members), ...(open ? { additionalProperties: false } : {}) }
}

function closedByName(schemas: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(schemas).map(([name, value]) => [name, withClosedObjects(value)]))
}

/** Keywords of JSON Schema whose value is a schema or a list of schemas. */
const schemaKeywords: ReadonlySet<string> = new Set([
  'items',
  'prefixItems',
  'anyOf',
  'oneOf',
  'allOf',
  'not',
])
/** Keywords whose value is an object of schemas by name. */
const schemaMapKeywords: ReadonlySet<string> = new Set(['properties', '$defs', 'definitions'])
