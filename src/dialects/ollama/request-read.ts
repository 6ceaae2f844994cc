import { isObject } from '../../lib/json/read.ts'
import type { ChatRequest, ToolDefinition } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import { readOllamaFormat, readOllamaMembers } from '../shared/ollama-members.ts'
import { readThink } from '../shared/reasoning.ts'
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
  const responseFormat = readOllamaFormat(body.format)
  const reasoningEffort = readThink(body.think)
  const lost: Record<string, string> = {}
  const lose = (field: string, why: string): void => {
    lost[field] = why
  }
  const ollama = readOllamaMembers(body.keep_alive, otherOptions(options))
  return {
    model: nameOf(body),
    stream,
    includeUsage: true,
    messages: readMessages(Array.isArray(body.messages) ? body.messages : [], lose),
    lost,
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
