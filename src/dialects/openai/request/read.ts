import {
  booleanOf,
  filledTextOf,
  isObject,
  type JsonObject,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ChatRequest, ResponseFormat } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { DroppedFields, notTranslated, unknownMembers } from '../../shared/dropped-fields.ts'
import { readOllamaFormat, readOllamaMembers } from '../../shared/ollama-members.ts'
import { readJsonConstraint } from '../../shared/output-constraints.ts'
import { readEffort, readThink } from '../../shared/reasoning.ts'
import { readSampling } from '../../shared/sampling.ts'
import { readMessages } from './messages-read.ts'
import { reportNestedMembers } from './nested-members.ts'
import { sampling } from './sampling.ts'
import { OpenaiChatBody } from './schema.ts'
import { readTools } from './tools-read.ts'

/** Reads a body of `POST /v1/chat/completions` that was checked against its schema. Throws `bad_request`. */
export function readRequest(body: JsonObject, stream: boolean): ChatRequest {
  const dropped = new DroppedFields()
  const messages = readMessages(body.messages, dropped.add)
  reportNestedMembers(body, (field) => dropped.add(field, notTranslated))
  const extras = unknownMembers(body, OpenaiChatBody.properties)
  const explicitFormat = readResponseFormat(body.response_format) ?? readOllamaFormat(body.format)
  const isFree = explicitFormat === undefined || explicitFormat.type === 'text'
  const { format = explicitFormat, others } = isFree ? readJsonConstraint(extras) : { others: extras }
  return {
    model: textOf(body.model) ?? textOf(body.model_name) ?? '',
    stream,
    includeUsage: isObject(body.stream_options) && body.stream_options.include_usage === true,
    messages,
    sampling: readSampling(sampling, body),
    extras: others,
    ...readTools(body),
    ...present({
      parallelToolCalls: booleanOf(body.parallel_tool_calls),
      responseFormat: format,
      reasoningEffort: readEffort(body.reasoning_effort, 'reasoning_effort') ?? readThink(body.think),
      ollama: readOllamaMembers(body.keep_alive, isObject(body.options) ? body.options : {}),
      user: filledTextOf(body.user),
      promptCacheKey: filledTextOf(body.prompt_cache_key),
      verbosity: filledTextOf(body.verbosity),
      dropped: dropped.reasons,
    }),
  }
}

function readResponseFormat(format: unknown): ResponseFormat | undefined {
  if (!isObject(format)) return undefined
  switch (format.type) {
    case 'text':
      return { type: 'text' }
    case 'json_object':
      return { type: 'json' }
    case 'json_schema':
      return readJsonSchema(format.json_schema)
    default:
      throw badRequest(
        "'response_format.type' must be text, json_object or json_schema",
        'response_format.type',
      )
  }
}

/** Without a schema, any JSON is requested, as at OpenAI. */
function readJsonSchema(format: unknown): ResponseFormat {
  if (!isObject(format)) {
    throw badRequest("'response_format.json_schema' must be an object", 'response_format.json_schema')
  }
  if (!isObject(format.schema)) return { type: 'json' }
  return {
    type: 'schema',
    schema: format.schema,
    ...present({
      name: filledTextOf(format.name),
      description: filledTextOf(format.description),
      strict: booleanOf(format.strict),
    }),
  }
}
