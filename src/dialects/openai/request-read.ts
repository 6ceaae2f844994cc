import { booleanOf, filledTextOf, isObject, type JsonObject, present, textOf } from '../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort, ResponseFormat } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import { readSampling } from '../shared/sampling.ts'
import { readMessages } from './messages-read.ts'
import { sampling } from './sampling.ts'
import { OpenaiChatBody } from './schema.ts'
import { readTools } from './tools-read.ts'

/** Reads a body of `POST /v1/chat/completions` that fits its schema. Throws `bad_request`. */
export function readRequest(body: JsonObject, stream: boolean): ChatRequest {
  return {
    model: textOf(body.model) ?? textOf(body.model_name) ?? '',
    stream,
    includeUsage: isObject(body.stream_options) && body.stream_options.include_usage === true,
    messages: readMessages(body.messages),
    sampling: readSampling(sampling, body),
    extras: readExtras(body),
    ...readTools(body),
    ...present({
      parallelToolCalls: booleanOf(body.parallel_tool_calls),
      responseFormat: readResponseFormat(body.response_format) ?? readOllamaFormat(body.format),
      reasoningEffort: readEffort(body.reasoning_effort) ?? readThink(body.think),
      ollama: readOllama(body),
      user: filledTextOf(body.user),
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

/** Without a schema it asks for JSON of any form, as OpenAI takes it. */
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

/** Ollama's `format`, which its users send through OpenAI clients too. */
function readOllamaFormat(format: unknown): ResponseFormat | undefined {
  if (format === undefined || format === null || format === '') return undefined
  if (format === 'json') return { type: 'json' }
  if (isObject(format)) return { type: 'schema', schema: format }
  throw badRequest('\'format\' must be "json" or a JSON schema', 'format')
}

const efforts: readonly ReasoningEffort[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']

function readEffort(effort: unknown): ReasoningEffort | undefined {
  if (effort === undefined || effort === null) return undefined
  const known = efforts.find((each) => each === effort)
  if (!known) throw badRequest(`'reasoning_effort' must be one of ${efforts.join(', ')}`, 'reasoning_effort')
  return known
}

/** Ollama's `think`: a switch for most models, a level for some. */
function readThink(think: unknown): ReasoningEffort | undefined {
  if (think === undefined || think === null || think === '') return undefined
  if (think === true) return 'on'
  if (think === false) return 'none'
  const level = efforts.find((each) => each === think)
  if (!level) throw badRequest("'think' must be true, false or a level", 'think')
  return level
}

function readOllama(body: JsonObject): ChatRequest['ollama'] | undefined {
  const { keep_alive: keepAlive, options } = body
  const members = present({
    keepAlive: typeof keepAlive === 'string' || typeof keepAlive === 'number' ? keepAlive : undefined,
    options: isObject(options) && Object.keys(options).length > 0 ? options : undefined,
  })
  return Object.keys(members).length > 0 ? members : undefined
}

/** The schema names all that is read here; the rest rides along. */
function readExtras(body: JsonObject): JsonObject {
  const unknown = Object.entries(body).filter(
    ([name, value]) =>
      !Object.hasOwn(OpenaiChatBody.properties, name) && value !== null && value !== undefined,
  )
  return Object.fromEntries(unknown)
}
