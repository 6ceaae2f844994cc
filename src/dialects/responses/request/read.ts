import {
  booleanOf,
  filledTextOf,
  isObject,
  type JsonObject,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ChatMessage, ChatRequest, ResponseFormat } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import {
  checkUnknownCount,
  DroppedFields,
  membersExcept,
  notTranslated,
  unknownMembers,
} from '../../shared/dropped-fields.ts'
import { readEffort } from '../../shared/reasoning.ts'
import { isAbsent, readSampling } from '../../shared/sampling.ts'
import { ClientTools } from '../client-tools.ts'
import { inputItems, readInput, type StoredItems } from './input-read.ts'
import { reportNestedMembers } from './nested-members.ts'
import { logprobsName, sampling } from './sampling.ts'
import { ResponsesBody } from './schema.ts'
import { readTools } from './tools-read.ts'

/**
 * Reads a body of `POST /v1/responses` that was checked against its schema. `stored`: what `previous_response_id` and item
 * references refer to; without it both are rejected, because history must not be dropped silently. Throws `bad_request`.
 */
export function readRequest(body: JsonObject, stream: boolean, stored?: StoredItems): ChatRequest {
  rejectUnsupported(body, stored)
  const items = inputItems(body.input, stored)
  const offered = new ClientTools(body.tools, items)
  const { messages, dropped: droppedItems } = readInput(items, offered)
  const { tools, toolChoice, dropped: droppedTools } = readTools(body, offered)
  const instructions = readInstructions(body.instructions)
  const droppedFields = new DroppedFields()
  reportNestedMembers(body, (field) => droppedFields.add(field, notTranslated))
  if (instructions.length + messages.length === 0) {
    throw badRequest("'input' is required: a string or input items", 'input', 'missing_required_parameter')
  }
  return {
    model: textOf(body.model) ?? textOf(body.model_name) ?? '',
    stream,
    // The last event always has token counts.
    includeUsage: true,
    messages: [...instructions, ...messages],
    tools,
    sampling: readSampling(sampling, body),
    extras: { ...readExtras(body), ...droppedTools, ...droppedItems },
    ...present({
      toolChoice,
      parallelToolCalls: booleanOf(body.parallel_tool_calls),
      responseFormat: readFormat(body.text),
      reasoningEffort: readEffort(
        isObject(body.reasoning) ? body.reasoning.effort : undefined,
        'reasoning.effort',
      ),
      user: filledTextOf(body.user),
      promptCacheKey: filledTextOf(body.prompt_cache_key),
      verbosity: isObject(body.text) ? filledTextOf(body.text.verbosity) : undefined,
      dropped: droppedFields.reasons,
    }),
  }
}

function rejectUnsupported(body: JsonObject, stored: StoredItems | undefined): void {
  const unsupported = {
    conversation: !isAbsent(body.conversation),
    prompt: !isAbsent(body.prompt),
    background: body.background === true,
    previous_response_id: !isAbsent(body.previous_response_id) && stored?.history === undefined,
  }
  for (const [name, isUsed] of Object.entries(unsupported)) {
    if (isUsed) throw badRequest(`'${name}' is not supported`, name, 'unsupported_parameter')
  }
}

function readInstructions(instructions: unknown): ChatMessage[] {
  const text = filledTextOf(instructions)
  if (text === undefined) return []
  return [{ role: 'system', developer: false, parts: [{ type: 'text', text }] }]
}

/** The members of `json_schema` are direct members of `format`; chat completions nest them. */
function readFormat(text: unknown): ResponseFormat | undefined {
  const format = isObject(text) ? text.format : undefined
  if (!isObject(format)) return undefined
  switch (format.type) {
    case 'text':
      return { type: 'text' }
    case 'json_object':
      return { type: 'json' }
    case 'json_schema': {
      const { schema } = format
      if (!isObject(schema)) {
        throw badRequest("'text.format.schema' must be an object", 'text.format.schema')
      }
      return {
        type: 'schema',
        schema,
        ...present({
          name: filledTextOf(format.name),
          description: filledTextOf(format.description),
          strict: booleanOf(format.strict),
        }),
      }
    }
    default:
      throw badRequest("'text.format.type' must be text, json_object or json_schema", 'text.format.type')
  }
}

/** Members that are neither read nor repeated in the answer. */
function readExtras(body: JsonObject): JsonObject {
  return {
    ...unknownMembers(body, ResponsesBody.properties),
    ...unknownMembersIn('text', body.text, ['format', 'verbosity']),
    // A summary of the reasoning is always sent.
    ...unknownMembersIn('reasoning', body.reasoning, ['effort', 'summary', 'generate_summary']),
    ...(body.truncation === 'auto' ? { truncation: 'auto' } : {}),
    ...readIncluded(body.include),
  }
}

function unknownMembersIn(name: string, value: unknown, known: readonly string[]): JsonObject {
  if (!isObject(value)) return {}
  const rest = Object.entries(membersExcept(value, (member) => known.includes(member)))
  return Object.fromEntries(rest.map(([member, value]) => [`${name}.${member}`, value]))
}

function readIncluded(include: unknown): JsonObject {
  const names: unknown[] = Array.isArray(include) ? include : []
  const dropped = names.filter((name) => name !== logprobsName && name !== 'reasoning.encrypted_content')
  checkUnknownCount(dropped.length)
  return Object.fromEntries(dropped.map((name) => [`include.${String(name)}`, true]))
}
