import { isObject, type JsonObject } from '../../../lib/json/read.ts'
import type { ChatRequest, ToolDefinition } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import {
  DroppedFields,
  type KnownMembers,
  notTranslated,
  reportNested,
  unknownMembers,
} from '../../shared/dropped-fields.ts'
import { readOllamaFormat, readOllamaMembers } from '../../shared/ollama-members.ts'
import { readThink } from '../../shared/reasoning.ts'
import { readSampling } from '../../shared/sampling.ts'
import { readMessages } from './messages-read.ts'
import { otherOptions, sampling } from './sampling.ts'
import { OllamaChatBody } from './schema.ts'

const knownMembers = { model: true, model_name: true, ...OllamaChatBody.properties }

const knownOfMessage: KnownMembers = {
  role: true,
  content: true,
  thinking: true,
  images: true,
  tool_name: true,
  name: true,
  tool_call_id: true,
  tool_calls: { id: true, type: true, function: { index: true, name: true, arguments: true } },
}

const knownOfTool: KnownMembers = {
  type: true,
  function: { name: true, description: true, parameters: true, strict: true },
}

/** Reads the body of `POST /api/chat`. Throws `bad_request`. */
export function readRequest(body: JsonObject, stream: boolean): ChatRequest {
  const options = isObject(body.options) ? body.options : {}
  const responseFormat = readOllamaFormat(body.format)
  const reasoningEffort = readThink(body.think)
  const dropped = new DroppedFields()
  const messages = readMessages(Array.isArray(body.messages) ? body.messages : [], dropped.add)
  const report = (field: string): void => dropped.add(field, notTranslated)
  reportNested(body.messages, 'messages', knownOfMessage, report)
  reportNested(body.tools, 'tools', knownOfTool, report)
  const ollama = readOllamaMembers(body.keep_alive, otherOptions(options))
  return {
    model: modelOf(body),
    stream,
    includeUsage: true,
    messages,
    continuesAnswer: true,
    tools: Array.isArray(body.tools) ? body.tools.map(readTool) : [],
    sampling: readSampling(sampling, {
      ...options,
      logprobs: body.logprobs,
      top_logprobs: body.top_logprobs,
    }),
    ...(responseFormat === undefined ? {} : { responseFormat }),
    ...(reasoningEffort === undefined ? {} : { reasoningEffort }),
    ...(ollama === undefined ? {} : { ollama }),
    ...(dropped.reasons === undefined ? {} : { dropped: dropped.reasons }),
    extras: unknownMembers(body, knownMembers),
  }
}

function modelOf(body: JsonObject): string {
  const name = body.model ?? body.model_name
  return typeof name === 'string' ? name : ''
}

function readTool(tool: unknown, index: number): ToolDefinition {
  const definition = isObject(tool) ? tool.function : undefined
  const param = `tools[${index}].function`
  if (!isObject(definition) || typeof definition.name !== 'string') {
    throw badRequest(`${param} must be an object with a name`, param)
  }
  const { name, description, parameters, strict } = definition
  return {
    name,
    ...(typeof description === 'string' ? { description } : {}),
    ...(isObject(parameters) ? { parameters } : {}),
    ...(typeof strict === 'boolean' ? { strict } : {}),
  }
}
