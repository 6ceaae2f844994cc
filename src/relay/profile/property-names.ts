import { parseExactObject } from '../../lib/json/exact.ts'
import { isObject } from '../../lib/json/read.ts'
import type { ChatEvent, ChatRequest, ChatResponse, ToolCall, ToolDefinition } from '../../sdk/chat.ts'
import type { ChatCodec, ChatStreamReader } from '../../sdk/dialect.ts'
import type { Profile } from '../../sdk/profile.ts'
import { digestOf } from './identifiers.ts'

/** By the client's name of a tool: the client's names of its parameters by the names sent to the server, if changed. */
export type PropertyNames = ReadonlyMap<string, ReadonlyMap<string, string>>

const maxLength = 64

/**
 * The request with parameter names that the server accepts, in tools and history, and the reverse mapping. MCP servers use
 * names such as `$top` and `filter[id]`; a single one makes Anthropic reject the whole request.
 */
export function fitPropertyNames(
  request: ChatRequest,
  { property_names: characters = 'any' }: Profile,
): { request: ChatRequest; properties: PropertyNames } {
  const properties = new Map<string, Names>()
  const sent = new Map<string, Names>()
  if (characters === 'any') return { request, properties }
  const tools = request.tools.map((tool) => {
    const own = changedNames(tool)
    if (own.size === 0) return tool
    const inverse = new Map(Array.from(own, ([to, from]) => [from, to]))
    properties.set(tool.name, own)
    sent.set(tool.name, inverse)
    return renamedTool(tool, inverse)
  })
  if (properties.size === 0) return { request, properties }
  const messages = request.messages.map((message) =>
    message.role === 'assistant'
      ? {
          ...message,
          toolCalls: message.toolCalls.map((call) => renamedCall(call, sent.get(call.name))),
        }
      : message,
  )
  return { request: { ...request, tools, messages }, properties }
}

/** The codec, restoring the client's parameter names in the arguments of calls. */
export function restoringProperties(codec: ChatCodec, properties: PropertyNames): ChatCodec {
  if (properties.size === 0) return codec
  return {
    ...codec,
    readResponse: (body) => restored(codec.readResponse(body), properties),
    createReader: () => restoringReader(codec.createReader(), properties),
  }
}

type Names = ReadonlyMap<string, string>

function changedNames({ parameters }: ToolDefinition): Names {
  const names = new Set(Object.keys(isObject(parameters?.properties) ? parameters.properties : {}))
  const own = new Map<string, string>()
  for (const name of names) {
    if (/^[a-zA-Z0-9_.-]{1,64}$/.test(name)) continue
    const plain = name.replaceAll(/[^a-zA-Z0-9_.-]+/g, '_')
    const isFree = plain !== '' && plain.length <= maxLength && !names.has(plain) && !own.has(plain)
    own.set(isFree ? plain : `${plain.slice(0, maxLength - 9)}_${digestOf(name, 8)}`, name)
  }
  return own
}

function renamedTool(tool: ToolDefinition, names: Names): ToolDefinition {
  const { parameters = {} } = tool
  const { properties, required } = parameters
  return {
    ...tool,
    parameters: {
      ...parameters,
      properties: renamedMembers(Object(properties), names),
      ...(Array.isArray(required)
        ? { required: required.map((name: unknown) => renamedName(name, names)) }
        : {}),
    },
  }
}

function renamedName(name: unknown, names: Names): unknown {
  return typeof name === 'string' ? (names.get(name) ?? name) : name
}

function renamedMembers(members: Record<string, unknown>, names: Names): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).map(([name, value]) => [names.get(name) ?? name, value]))
}

/** Arguments that are not a JSON object stay unchanged. */
function renamedCall(call: ToolCall, names: Names | undefined): ToolCall {
  if (!names) return call
  const members = parseExactObject(call.arguments)
  return members ? { ...call, arguments: JSON.stringify(renamedMembers(members, names)) } : call
}

function restored(response: ChatResponse, properties: PropertyNames): ChatResponse {
  const choices = response.choices.map((choice) => ({
    ...choice,
    toolCalls: choice.toolCalls.map((call) => renamedCall(call, properties.get(call.name))),
  }))
  return { ...response, choices }
}

/** The arguments of calls with changed names are held back until they are complete. */
function restoringReader(reader: ChatStreamReader, properties: PropertyNames): ChatStreamReader {
  const held = new Map<string, ToolCall>()
  const through = (emit: (event: ChatEvent) => void) => (event: ChatEvent) => {
    if (event.type === 'tool-call-start' && properties.has(event.name)) {
      held.set(`${event.choice} ${event.call}`, { id: event.id, name: event.name, arguments: '' })
    } else if (event.type === 'tool-call-delta' || event.type === 'block-end') {
      const { choice, call } = event
      const waiting = held.get(`${choice} ${call}`)
      if (waiting && event.type === 'tool-call-delta') {
        waiting.arguments += event.arguments
        return
      }
      if (waiting) {
        const { arguments: json } = renamedCall(waiting, properties.get(waiting.name))
        emit({ type: 'tool-call-delta', choice, call, arguments: json })
      }
    }
    emit(event)
  }
  return {
    push: (chunk, emit) => reader.push(chunk, through(emit)),
    end: (emit, isComplete) => reader.end(through(emit), isComplete),
  }
}
