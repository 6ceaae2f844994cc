import { filledTextOf, isObject, type JsonObject, objectsIn, textOf } from '../../../lib/json/read.ts'
import type { ChatMessage } from '../../../sdk/chat.ts'
import { badRequest, type RouterError } from '../../../sdk/errors.ts'
import { customArguments, historyArguments } from '../../shared/tools/tool-arguments.ts'
import type { ClientTools } from '../client-tools.ts'
import { toolOfCall, toolOfOutput } from '../native-tools.ts'
import { unseal } from '../sealed-reasoning.ts'
import { Conversation } from './conversation.ts'
import { readAssistantParts, readTextParts, readUserParts } from './parts-read.ts'

export interface ReadInput {
  messages: ChatMessage[]
  /** Items that no other dialect can carry, by the field that is reported. */
  dropped: JsonObject
}

/** Calls of tools that OpenAI ran in earlier turns, whose responses are in the history too. */
const hostedCalls: ReadonlySet<unknown> = new Set([
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
  'image_generation_call',
  'mcp_list_tools',
  'mcp_call',
])

/** Reads input items into turns. Throws `bad_request` with the path of an invalid item. */
export function readInput(items: readonly InputItem[], offered: ClientTools): ReadInput {
  const conversation = new Conversation()
  const dropped: JsonObject = {}
  for (const { item, path } of items) readItem(item, path, { conversation, dropped, offered })
  return { messages: conversation.messages(), dropped }
}

interface Reading {
  conversation: Conversation
  dropped: JsonObject
  offered: ClientTools
}

function readItem(item: JsonObject, path: string, { conversation, dropped, offered }: Reading): void {
  switch (item.type ?? (item.role === undefined ? 'item_reference' : 'message')) {
    case 'message':
      readMessage(item, path, conversation)
      break
    case 'function_call':
    case 'custom_tool_call':
      readCall(item, path, { conversation, dropped, offered })
      break
    case 'additional_tools':
      // Offered with those of the request.
      break
    case 'function_call_output':
    case 'custom_tool_call_output':
      readResult(item, path, conversation)
      break
    case 'reasoning':
      readReasoning(item, conversation, dropped)
      break
    case 'item_reference':
      throw unknownReference(item, path)
    default:
      if (!readNative(item, path, conversation) && !readUnknown(item, conversation))
        dropped[`input.${String(item.type)}`] = item
  }
}

/** Reads a call of a tool with its own item type, or the output of such a call. Returns whether the item is one of them. */
function readNative(item: JsonObject, path: string, conversation: Conversation): boolean {
  const callId = filledTextOf(item.call_id) ?? filledTextOf(item.id)
  if (callId === undefined) return false
  const tool = toolOfCall(item)
  if (tool) {
    conversation.addCall(callId, tool.name, JSON.stringify(tool.read(item)))
    return true
  }
  const toolOfResult = toolOfOutput(item)
  if (toolOfResult) {
    const parts = readUserParts(toolOfResult.output(item) ?? '', `${path}.output`)
    conversation.addResult({ sentId: callId, parts, path })
  }
  return toolOfResult !== undefined
}

/** Reads the text of an item of unknown type, as new ones appear every few months. Returns whether it has any. */
function readUnknown(item: JsonObject, conversation: Conversation): boolean {
  if (hostedCalls.has(item.type)) return false
  const text = typeof item.content === 'string' ? item.content : textsIn(item.content, '\n')
  if (text === '') return false
  const part = { type: 'text' as const, text }
  if (item.role === 'assistant') conversation.addAnswer([part])
  else if (item.role === 'system' || item.role === 'developer')
    conversation.add({ role: 'system', developer: item.role === 'developer', parts: [part] })
  else conversation.add({ role: 'user', parts: [part] })
  return true
}

function readMessage(item: JsonObject, path: string, conversation: Conversation): void {
  const { content } = item
  const role = textOf(item.role)?.toLowerCase()
  const at = `${path}.content`
  if (content === undefined || content === null) {
    throw badRequest(`'${at}' is required`, at, 'missing_required_parameter')
  }
  if (role === 'system' || role === 'developer') {
    const parts = readTextParts(content, at)
    conversation.add({ role: 'system', developer: role === 'developer', parts })
  } else if (role === 'user') {
    conversation.add({ role, parts: readUserParts(content, at) })
  } else if (role === 'assistant') {
    conversation.addAnswer(readAssistantParts(content, at))
  } else {
    const param = `${path}.role`
    throw badRequest(`'${param}' must be user, assistant, system or developer`, param, 'invalid_value')
  }
}

function readResult(item: JsonObject, path: string, conversation: Conversation): void {
  const sentId = required(item.call_id, `${path}.call_id`)
  conversation.addResult({ sentId, parts: readUserParts(item.output, `${path}.output`), path })
}

/** Only `call_id` pairs a call with its output; `id` identifies the item and is not needed here. */
function readCall(item: JsonObject, path: string, { conversation, dropped, offered }: Reading): void {
  const callId = required(item.call_id, `${path}.call_id`)
  const name = offered.wireNameOf(required(item.name, `${path}.name`), filledTextOf(item.namespace))
  if (item.type === 'custom_tool_call') {
    conversation.addCall(callId, name, customArguments(textOf(item.input) ?? ''))
    return
  }
  const { json, isConverted } = historyArguments(item.arguments)
  if (isConverted) dropped['input.function_call.arguments'] = true
  conversation.addCall(callId, name, json)
}

/** Reads the reasoning text if sent, otherwise its summary. Content encrypted by OpenAI is dropped. */
function readReasoning(item: JsonObject, conversation: Conversation, dropped: JsonObject): void {
  const sealed = unseal(item.encrypted_content)
  if (sealed) {
    conversation.addReasoning(sealed.text, sealed.signature)
    return
  }
  const text = textsIn(item.content, '') || textsIn(item.summary, '\n\n')
  conversation.addReasoning(text)
  if (text === '' && filledTextOf(item.encrypted_content) !== undefined) {
    dropped['input.reasoning.encrypted_content'] = true
  }
}

function textsIn(parts: unknown, separator: string): string {
  return objectsIn(parts)
    .map((part) => textOf(part.text) ?? '')
    .join(separator)
}

function unknownReference(item: JsonObject, path: string): RouterError {
  const id = filledTextOf(item.id)
  if (id === undefined) {
    return badRequest(`'${path}' must have a type, or the role and content of a message`, path)
  }
  return badRequest(`The item '${id.slice(0, 128)}' is unknown: send the complete item`, path, 'unknown_item')
}

function required(value: unknown, path: string): string {
  const text = filledTextOf(value)
  if (text === undefined) {
    throw badRequest(`'${path}' is required: a non-empty string`, path, 'missing_required_parameter')
  }
  return text
}

/** What a request refers to in responses that the router has stored. */
export interface StoredItems {
  /** Input and output items of the previous turns, oldest first; undefined if none are referenced. */
  history: readonly JsonObject[] | undefined
  /** The known items that the input references by id. */
  referenced: ReadonlyMap<string, JsonObject>
}

export interface InputItem {
  item: JsonObject
  /** Its path in the client's body, for errors. */
  path: string
}

/** All items of a request, with those of earlier turns first. A string becomes a user message. */
export function inputItems(input: unknown, stored?: StoredItems): InputItem[] {
  const earlier = stored?.history?.map((item) => ({ item, path: 'previous_response_id' })) ?? []
  return [...earlier, ...itemsOfBody(input, stored?.referenced)]
}

/** The id in an `item_reference`, whose `type` is optional. */
export function referenceOf(item: JsonObject): string | undefined {
  const bare = (item.type === undefined || item.type === null) && item.role === undefined
  return item.type === 'item_reference' || bare ? textOf(item.id) : undefined
}

function itemsOfBody(input: unknown, referenced: StoredItems['referenced'] | undefined): InputItem[] {
  if (typeof input === 'string') {
    const content = [{ type: 'input_text', text: input }]
    return [{ item: { type: 'message', role: 'user', content }, path: 'input' }]
  }
  const sent: unknown[] = Array.isArray(input) ? input : []
  return sent.filter(isObject).map((item, index) => {
    const id = referenceOf(item)
    return { item: (id !== undefined && referenced?.get(id)) || item, path: `input[${index}]` }
  })
}
