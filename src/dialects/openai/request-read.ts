import {
  booleanOf,
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  present,
  textOf,
} from '../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort, ResponseFormat, Sampling } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import { readMessages } from './messages-read.ts'
import { OpenaiChatBody } from './schema.ts'
import { readTools } from './tools-read.ts'

/** Reads a body of `POST /v1/chat/completions` that fits its schema. Throws `bad_request`. */
export function readRequest(body: JsonObject, stream: boolean): ChatRequest {
  return {
    model: textOf(body.model) ?? textOf(body.model_name) ?? '',
    stream,
    includeUsage: isObject(body.stream_options) && body.stream_options.include_usage === true,
    messages: readMessages(body.messages),
    sampling: readSampling(body),
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

export function readSampling(body: JsonObject): Sampling {
  const stop = typeof body.stop === 'string' ? [body.stop] : body.stop
  const texts = Array.isArray(stop) ? stop.filter((text) => filledTextOf(text) !== undefined) : []
  return present({
    maxTokens: limitOf(body.max_completion_tokens) ?? limitOf(body.max_tokens),
    temperature: numberOf(body.temperature),
    topP: numberOf(body.top_p),
    topK: numberOf(body.top_k),
    minP: numberOf(body.min_p),
    typicalP: numberOf(body.typical_p),
    repetitionPenalty: numberOf(body.repetition_penalty) ?? numberOf(body.repeat_penalty),
    presencePenalty: numberOf(body.presence_penalty),
    frequencyPenalty: numberOf(body.frequency_penalty),
    seed: numberOf(body.seed),
    stop: texts.length > 0 ? texts : undefined,
    logitBias: readLogitBias(body.logit_bias),
    logprobs: booleanOf(body.logprobs),
    topLogprobs: numberOf(body.top_logprobs),
    n: numberOf(body.n),
  })
}

/** LM Studio's clients say "no limit" as -1. */
function limitOf(value: unknown): number | undefined {
  const limit = numberOf(value)
  return limit === undefined || limit < 0 ? undefined : limit
}

function readLogitBias(value: unknown): Record<string, number> | undefined {
  if (!isObject(value)) return undefined
  const biases = Object.entries(value).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  )
  return biases.length > 0 ? Object.fromEntries(biases) : undefined
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
