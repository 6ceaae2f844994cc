import { filledTextOf, isObject, type JsonObject, present, textOf } from '../../../lib/json/read.ts'
import type { AssistantMessage, ChatMessage, ToolCall, ToolMessage } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { Drop } from '../../../sdk/write-options.ts'
import { readCacheControl, withCacheControlOnLast } from '../../shared/cache-control.ts'
import { readCallSignature, readSignedId } from '../../shared/signatures.ts'
import { ConversationCalls } from '../../shared/tools/call-ids.ts'
import { convertedArguments, customArguments, historyArguments } from '../../shared/tools/tool-arguments.ts'
import { readAssistantParts, readTextParts, readUserParts } from './parts-read.ts'

interface Reading {
  calls: ConversationCalls
  drop: Drop
}

/** Reads the turns of a conversation. Throws `bad_request` with the path of an invalid one. */
export function readMessages(messages: unknown, drop: Drop): ChatMessage[] {
  const calls = new ConversationCalls('call_')
  const turns: unknown[] = Array.isArray(messages) ? messages : []
  return turns.map((message, index) => {
    const path = `messages[${index}]`
    if (!isObject(message)) throw badRequest(`'${path}' must be an object`, path)
    return withCacheMark(readMessage(message, path, { calls, drop }), message)
  })
}

/** `cache_control` of a message applies to its end: the last call, or the last part. */
function withCacheMark(message: ChatMessage, sent: JsonObject): ChatMessage {
  const mark = readCacheControl(sent)
  if (!mark.cacheControl) return message
  switch (message.role) {
    case 'system':
      return { ...message, parts: withCacheControlOnLast(message.parts, mark) }
    case 'assistant':
      return message.toolCalls.length > 0
        ? { ...message, toolCalls: withCacheControlOnLast(message.toolCalls, mark) }
        : { ...message, parts: withCacheControlOnLast(message.parts, mark) }
    case 'user':
    case 'tool':
      return { ...message, parts: withCacheControlOnLast(message.parts, mark) }
  }
}

function readMessage(message: JsonObject, path: string, reading: Reading): ChatMessage {
  const { calls } = reading
  const role = textOf(message.role)?.toLowerCase()
  const name = present({ name: filledTextOf(message.name) })
  switch (role) {
    case 'system':
    case 'developer': {
      const parts = readTextParts(requiredContent(message, path), `${path}.content`)
      return { role: 'system', developer: role === 'developer', parts, ...name }
    }
    case 'user':
      return { role, parts: readUserParts(requiredContent(message, path), `${path}.content`), ...name }
    case 'assistant':
      return { ...readAssistant(message, path, reading), ...name }
    case 'tool':
      return readToolResult(message, path, calls)
    case 'function':
      return readFunctionResult(message, path, calls)
    default:
      throw badRequest(`'${path}.role' is not a known role`, `${path}.role`)
  }
}

function requiredContent(message: JsonObject, path: string): unknown {
  const { content } = message
  if (content === undefined || content === null) {
    throw badRequest(`'${path}.content' is required`, `${path}.content`, 'missing_required_parameter')
  }
  return content
}

function readAssistant(message: JsonObject, path: string, reading: Reading): AssistantMessage {
  const parts = readAssistantParts(message.content, `${path}.content`)
  const refusal = filledTextOf(message.refusal)
  if (refusal !== undefined) parts.push({ type: 'refusal', text: refusal })
  return {
    role: 'assistant',
    parts,
    reasoning: filledTextOf(message.reasoning_content) ?? filledTextOf(message.reasoning) ?? '',
    toolCalls: readToolCalls(message, path, reading),
  }
}

/** `function_call` is the deprecated form of a single call, without an id. */
function readToolCalls(message: JsonObject, path: string, reading: Reading): ToolCall[] {
  const sent: unknown[] = Array.isArray(message.tool_calls) ? message.tool_calls : []
  const read = sent.map((call, index) => {
    const at = `${path}.tool_calls[${index}]`
    if (isObject(call) && isObject(call.custom)) return readCall(call, call.custom, `${at}.custom`, reading)
    const functionMember = isObject(call) ? call.function : undefined
    return readCall(isObject(call) ? call : {}, functionMember, `${at}.function`, reading)
  })
  if (!isObject(message.function_call)) return read
  return [...read, readCall({}, message.function_call, `${path}.function_call`, reading)]
}

/** `called`: the call's member `function`, or `custom` for a custom tool. */
function readCall(call: JsonObject, content: unknown, path: string, { calls, drop }: Reading): ToolCall {
  const name = isObject(content) ? filledTextOf(content.name) : undefined
  if (!isObject(content) || name === undefined) {
    throw badRequest(`'${path}' must be an object with a name`, path)
  }
  const sentId = filledTextOf(call.id) ?? ''
  const id = calls.add(sentId, name)
  const marks = present({
    signature: readSignedId(sentId).signature ?? readCallSignature(call),
    cacheControl: isObject(call.cache_control) ? call.cache_control : undefined,
  })
  if (call.custom === content)
    return { id, name, arguments: customArguments(textOf(content.input) ?? ''), ...marks }
  const { json, isConverted } = historyArguments(content.arguments)
  if (isConverted) drop('messages.tool_calls.function.arguments', convertedArguments)
  return { id, name, arguments: json, ...marks }
}

function readToolResult(message: JsonObject, path: string, calls: ConversationCalls): ToolMessage {
  const sentId = filledTextOf(message.tool_call_id)
  if (sentId === undefined) {
    const param = `${path}.tool_call_id`
    throw badRequest(
      `'${param}' is required: the id of the tool call that this message answers`,
      param,
      'missing_required_parameter',
    )
  }
  const call = calls.answerById(sentId)
  return {
    role: 'tool',
    callId: call?.id ?? sentId,
    ...present({ name: call?.name ?? filledTextOf(message.name) }),
    parts: readUserParts(message.content, `${path}.content`),
  }
}

/** The deprecated role names the function instead of the call. */
function readFunctionResult(message: JsonObject, path: string, calls: ConversationCalls): ToolMessage {
  const name = filledTextOf(message.name)
  if (name === undefined) throw badRequest(`'${path}.name' is required: the function's name`, `${path}.name`)
  return {
    role: 'tool',
    callId: calls.answerByName(name)?.id ?? calls.add('', name),
    name,
    parts: readUserParts(message.content, `${path}.content`),
  }
}
