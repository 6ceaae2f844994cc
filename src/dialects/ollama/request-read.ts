import { isObject } from '../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort, ResponseFormat, ToolDefinition } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import { readSampling } from '../shared/sampling.ts'
import { readMessages } from './messages-read.ts'
import { otherOptions, sampling } from './sampling.ts'

const knownMembers: ReadonlySet<string> = new Set([
  'model',
  'model_name',
  'messages',
  'stream',
  'format',
  'think',
  'keep_alive',
  'options',
  'tools',
  'logprobs',
  'top_logprobs',
])

/** Reads the body of `POST /api/chat`. Throws `bad_request`. */
export function readRequest(body: Record<string, unknown>, stream: boolean): ChatRequest {
  const options = isObject(body.options) ? body.options : {}
  const responseFormat = readFormat(body.format)
  const reasoningEffort = readThink(body.think)
  const ollama = readOllamaOnly(body.keep_alive, otherOptions(options))
  return {
    model: nameOf(body),
    stream,
    includeUsage: true,
    messages: readMessages(Array.isArray(body.messages) ? body.messages : []),
    tools: Array.isArray(body.tools) ? body.tools.map(readTool) : [],
    sampling: readSampling(sampling, {
      ...options,
      logprobs: body.logprobs,
      top_logprobs: body.top_logprobs,
    }),
    ...(responseFormat === undefined ? {} : { responseFormat }),
    ...(reasoningEffort === undefined ? {} : { reasoningEffort }),
    ...(ollama === undefined ? {} : { ollama }),
    extras: Object.fromEntries(
      Object.entries(body).filter(([name, value]) => !knownMembers.has(name) && value !== null),
    ),
  }
}

function nameOf(body: Record<string, unknown>): string {
  const name = body.model ?? body.model_name
  return typeof name === 'string' ? name : ''
}

function readFormat(format: unknown): ResponseFormat | undefined {
  if (format === undefined || format === null || format === '') return undefined
  if (format === 'json') return { type: 'json' }
  if (isObject(format)) return { type: 'schema', schema: format }
  throw badRequest('format must be "json" or a JSON schema', 'format')
}

function readThink(think: unknown): ReasoningEffort | undefined {
  switch (think) {
    case undefined:
    case null:
    case '':
      return undefined
    case true:
      return 'on'
    case false:
      return 'none'
    case 'none':
    case 'minimal':
    case 'low':
    case 'medium':
    case 'high':
    case 'xhigh':
    case 'max':
      return think
    default:
      throw badRequest('think must be true, false, "low", "medium", "high" or "max"', 'think')
  }
}

function readOllamaOnly(keepAlive: unknown, options: Record<string, unknown>): ChatRequest['ollama'] {
  const kept = typeof keepAlive === 'number' || typeof keepAlive === 'string' ? { keepAlive } : undefined
  const rest = Object.keys(options).length > 0 ? { options } : undefined
  return kept || rest ? { ...kept, ...rest } : undefined
}

function readTool(tool: unknown, index: number): ToolDefinition {
  const definition = isObject(tool) ? tool.function : undefined
  const param = `tools[${index}].function`
  if (!isObject(definition) || typeof definition.name !== 'string') {
    throw badRequest(`${param} must be an object with a name`, param)
  }
  const { name, description, parameters } = definition
  return {
    name,
    ...(typeof description === 'string' ? { description } : {}),
    ...(isObject(parameters) ? { parameters } : {}),
  }
}
