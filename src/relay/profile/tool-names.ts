import type { ChatEvent, ChatMessage, ChatRequest, ChatResponse } from '../../sdk/chat.ts'
import type { ChatCodec, ChatStreamReader } from '../../sdk/dialect.ts'
import type { Profile } from '../../sdk/profile.ts'
import { digestOf } from './identifiers.ts'

/** Original tool names by the names sent to the server; unchanged names are omitted. */
export type ToolNames = ReadonlyMap<string, string>

/**
 * The request with tool names that the server accepts, in its tools, tool choice and history, and the reverse mapping. A
 * name is changed the same way in every turn.
 */
export function fitToolNames(
  request: ChatRequest,
  { max_tool_name: longest = Number.POSITIVE_INFINITY, tool_name_characters: characters = 'any' }: Profile,
): { request: ChatRequest; names: ToolNames } {
  const fits = (name: string): boolean =>
    characters === 'word'
      ? isWord(name) && startsWell(name) && name.length <= longest
      : escapedLength(name) <= longest
  const original = new Set(namesIn(request))
  const names = new Map<string, string>()
  const wire = new Map<string, string>()
  for (const name of original) {
    if (fits(name)) continue
    const word = name.replaceAll(/[^a-zA-Z0-9_-]+/g, '_')
    const plain = startsWell(word) ? word : `_${word}`
    const isFree = plain.length <= longest && !original.has(plain) && !names.has(plain)
    const fitted = isFree ? plain : `${plain.slice(0, Math.max(longest, 12) - 9)}_${digestOf(name, 8)}`
    names.set(fitted, name)
    wire.set(name, fitted)
  }
  if (names.size === 0) return { request, names }
  return { request: renamed(request, (name) => wire.get(name) ?? name), names }
}

/** The codec, restoring the client's tool names in responses. */
export function restoringNames(codec: ChatCodec, names: ToolNames): ChatCodec {
  if (names.size === 0) return codec
  const own = (name: string): string => names.get(name) ?? name
  return {
    ...codec,
    readResponse: (body) => restored(codec.readResponse(body), own),
    createReader: () => restoringReader(codec.createReader(), own),
  }
}

type Rename = (name: string) => string

function restored(response: ChatResponse, own: Rename): ChatResponse {
  const choices = response.choices.map((choice) => ({
    ...choice,
    toolCalls: choice.toolCalls.map((call) => ({ ...call, name: own(call.name) })),
  }))
  return { ...response, choices }
}

function restoringReader(reader: ChatStreamReader, own: Rename): ChatStreamReader {
  const through = (emit: (event: ChatEvent) => void) => (event: ChatEvent) =>
    emit(event.type === 'tool-call-start' ? { ...event, name: own(event.name) } : event)
  return {
    push: (chunk, emit) => reader.push(chunk, through(emit)),
    end: (emit, isComplete) => reader.end(through(emit), isComplete),
  }
}

function renamed(request: ChatRequest, wire: Rename): ChatRequest {
  const { toolChoice } = request
  return {
    ...request,
    tools: request.tools.map((tool) => ({ ...tool, name: wire(tool.name) })),
    messages: request.messages.map((message) => renamedIn(message, wire)),
    ...(typeof toolChoice === 'object' ? { toolChoice: { ...toolChoice, name: wire(toolChoice.name) } } : {}),
  }
}

function renamedIn(message: ChatMessage, wire: Rename): ChatMessage {
  if (message.role === 'tool' && message.name !== undefined) return { ...message, name: wire(message.name) }
  if (message.role !== 'assistant' || message.toolCalls.length === 0) return message
  return { ...message, toolCalls: message.toolCalls.map((call) => ({ ...call, name: wire(call.name) })) }
}

function* namesIn({ tools, messages, toolChoice }: ChatRequest): Generator<string> {
  for (const { name } of tools) yield name
  if (typeof toolChoice === 'object') yield toolChoice.name
  for (const message of messages) {
    if (message.role === 'assistant') for (const { name } of message.toolCalls) yield name
    if (message.role === 'tool' && message.name !== undefined) yield message.name
  }
}

function isWord(name: string): boolean {
  return /^[a-zA-Z0-9_-]+$/.test(name)
}

/** Gemini accepts only names that begin with a letter or an underscore. */
function startsWell(name: string): boolean {
  return /^[a-zA-Z_]/.test(name)
}

/** Length after escaping special characters as `-x2e-`, as the codecs do. */
function escapedLength(name: string): number {
  if (isWord(name)) return name.length
  return name.replaceAll(/[^a-zA-Z0-9_]/gu, (character) => `-x${character.codePointAt(0)?.toString(16)}-`)
    .length
}
