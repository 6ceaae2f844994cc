import { append } from '../../../lib/append.ts'
import { type JsonObject, present } from '../../../lib/json/read.ts'
import type {
  AssistantMessage,
  CacheControl,
  ChatMessage,
  ImagePart,
  ToolMessage,
  UserPart,
} from '../../../sdk/chat.ts'
import { badRequest, type RouterError } from '../../../sdk/errors.ts'
import type { Drop } from '../../../sdk/write-options.ts'
import { imageTypeOf, pdfStart, readDataUrl } from '../../shared/media.ts'
import { signatureFor } from '../../shared/signatures.ts'
import { asUserText } from '../../shared/system-turns.ts'
import { orderedPieces } from '../../shared/tools/call-order.ts'
import { parseArguments } from '../../shared/tools/tool-arguments.ts'
import { legalCallId, toWireName } from '../tool-identifiers.ts'

export interface WrittenTurns {
  system: JsonObject[]
  messages: JsonObject[]
}

interface AssistantTurn {
  role: 'assistant'
  content: JsonObject[]
  calls: Set<string>
}

interface UserTurn {
  role: 'user'
  /** Results by the id of their call. */
  results: Map<string, JsonObject>
  rest: JsonObject[]
  /** Ids of the calls in the previous turn, each of which must have a result here. */
  calls: ReadonlySet<string>
}

type Turn = AssistantTurn | UserTurn

/**
 * Writes a conversation by Anthropic's rules: user and assistant alternate, the user begins, all results of a turn's calls are
 * at the beginning of the next turn, and no text is blank. Source: Anthropic API reference, "Create a Message", and "Tool
 * use".
 */
export function writeMessages(messages: readonly ChatMessage[], drop: Drop): WrittenTurns {
  const turns: Turn[] = []
  const system: JsonObject[] = []
  for (const [index, message] of messages.entries()) {
    if (message.role !== 'tool' && message.name !== undefined) {
      drop('messages.name', 'Anthropic has no field for speaker names')
    }
    if (message.role === 'system' && turns.length === 0) {
      append(system, writeTexts(message.parts))
    } else addMessage(turns, message, `messages[${index}]`, drop)
  }
  return { system, messages: toMessages(turns) }
}

function addMessage(turns: Turn[], message: ChatMessage, path: string, drop: Drop): void {
  switch (message.role) {
    case 'system': {
      drop(
        'messages.system',
        'Anthropic supports system text only at the start; a later one was sent as user text',
      )
      userTurn(turns).rest.push({ type: 'text', text: asUserText(message) })
      return
    }
    case 'user': {
      const blocks = writeParts(message.parts, `${path}.content`, drop)
      if (blocks.length > 0) append(userTurn(turns).rest, blocks)
      return
    }
    case 'tool':
      addResult(userTurn(turns), message, path, drop)
      return
    case 'assistant':
      addAssistant(turns, message, path, drop)
  }
}

function userTurn(turns: Turn[]): UserTurn {
  const last = turns.at(-1)
  if (last?.role === 'user') return last
  const turn: UserTurn = { role: 'user', results: new Map(), rest: [], calls: last?.calls ?? new Set() }
  turns.push(turn)
  return turn
}

function addResult(turn: UserTurn, message: ToolMessage, path: string, drop: Drop): void {
  const id = legalCallId(message.callId)
  const content = writeParts(message.parts, `${path}.content`, drop)
  if (!turn.calls.has(id) || turn.results.has(id)) {
    drop('messages.tool_call_id', 'a result without a call in the previous turn was sent as user text')
    append(turn.rest, content)
    return
  }
  // `cache_control` of a result belongs to the block itself.
  const mark = content.findLast((block) => block.cache_control !== undefined)?.cache_control
  const plain = content.map(({ cache_control: _mark, ...block }) => block)
  turn.results.set(id, {
    type: 'tool_result',
    tool_use_id: id,
    ...(plain.length > 0 ? { content: plain } : {}),
    ...present({ cache_control: mark }),
    ...(message.isError ? { is_error: true } : {}),
  })
}

function addAssistant(turns: Turn[], message: AssistantMessage, path: string, drop: Drop): void {
  const { reasoning, toolCalls } = message
  const signature = signatureFor('anthropic', message.reasoningSignature)
  if (reasoning !== '' && signature === undefined) {
    drop('messages.reasoning', 'Anthropic accepts only reasoning that it has signed')
  }
  const calls = toolCalls.map((call, index) => {
    const param = `${path}.tool_calls[${index}].function`
    const input = parseArguments(call.arguments)
    if (!input) throw badRequest(`'${param}.arguments' must be a JSON object, as a string`, param)
    return {
      type: 'tool_use',
      id: legalCallId(call.id),
      name: toWireName(call.name, `${param}.name`),
      input,
      ...present({ cache_control: call.cacheControl }),
    }
  })
  const content: JsonObject[] = [
    ...(signature === undefined ? [] : [{ type: 'thinking', thinking: reasoning, signature }]),
    ...orderedPieces(message).flatMap((piece) =>
      piece.type === 'part' ? writeTexts([piece.part]) : calls.slice(piece.index, piece.index + 1),
    ),
  ]
  if (content.length === 0) return
  const last = turns.at(-1)
  const turn: AssistantTurn =
    last?.role === 'assistant' ? last : { role: 'assistant', content: [], calls: new Set() }
  if (turn !== last) turns.push(turn)
  append(turn.content, content)
  for (const { id } of calls) turn.calls.add(id)
}

function toMessages(turns: Turn[]): JsonObject[] {
  const last = turns.at(-1)
  if (last?.role === 'assistant' && last.calls.size > 0) userTurn(turns)
  else trimPrefill(last)
  const messages = turns.map((turn): JsonObject => {
    if (turn.role === 'assistant') return { role: turn.role, content: turn.content }
    const results = Array.from(turn.calls, (id) => turn.results.get(id) ?? missingResult(id))
    return { role: turn.role, content: [...results, ...turn.rest] }
  })
  if (turns[0]?.role === 'user') return messages
  return [{ role: 'user', content: [{ type: 'text', text: '(continue)' }] }, ...messages]
}

/** The model continues an assistant turn at the end; Anthropic rejects one that ends in white space. */
function trimPrefill(last: Turn | undefined): void {
  const block = last?.role === 'assistant' ? last.content.at(-1) : undefined
  if (typeof block?.text === 'string') block.text = block.text.trimEnd()
}

/** Anthropic rejects a conversation with a call that has no result. */
function missingResult(id: string): JsonObject {
  const content = [{ type: 'text', text: 'No result' }]
  return { type: 'tool_result', tool_use_id: id, content, is_error: true }
}

/**
 * The blocks of a user turn or a tool result. Throws `bad_request` with `path` for parts that Anthropic does not accept.
 * Format: Anthropic API reference, "Create a Message", content blocks.
 */
function writeParts(parts: readonly UserPart[], path: string, drop: Drop): JsonObject[] {
  return parts.flatMap((part) => writePart(part, path, drop))
}

function writePart(part: UserPart, path: string, drop: Drop): JsonObject[] {
  switch (part.type) {
    case 'text':
      return writeTexts([part])
    case 'image':
      return [{ ...writeImage(part, path, drop), ...present({ cache_control: part.cacheControl }) }]
    case 'file':
      return [{ ...writeFile(part, path), ...present({ cache_control: part.cacheControl }) }]
    case 'audio':
      throw unsupported(path, 'does not accept audio')
  }
}

/** Blank text is omitted: Anthropic rejects it, in every later turn too. */
function writeTexts(parts: readonly { text: string; cacheControl?: CacheControl }[]): JsonObject[] {
  return parts
    .filter(({ text }) => text.trim() !== '')
    .map(({ text, cacheControl }) => ({ type: 'text', text, ...present({ cache_control: cacheControl }) }))
}

function writeImage({ source, detail }: ImagePart, path: string, drop: Drop): JsonObject {
  if (detail !== undefined && detail !== 'auto') {
    drop('image_url.detail', 'Anthropic has no setting for the image resolution')
  }
  if (source.kind === 'url') {
    if (source.url.startsWith('https://')) return { type: 'image', source: { type: 'url', url: source.url } }
    throw unsupported(path, 'fetches images from https URLs only; send the image as a base64 data URL')
  }
  // Media types from clients are often wrong, and Anthropic rejects a wrong one.
  const mediaType = imageTypeOf(source.data)
  if (mediaType === undefined) throw unsupported(path, 'accepts JPEG, PNG, GIF and WebP images only')
  return { type: 'image', source: { type: 'base64', media_type: mediaType, data: source.data } }
}

function writeFile(part: { data?: string; url?: string; name?: string }, path: string): JsonObject {
  if (part.url !== undefined && part.data === undefined) {
    return { type: 'document', source: { type: 'url', url: part.url }, ...present({ title: part.name }) }
  }
  if (part.data === undefined) throw unsupported(path, 'does not support file ids; send the data of the file')
  const inline = readDataUrl(part.data)
  const data = inline?.data ?? part.data
  const title = present({ title: part.name })
  if (data.startsWith(pdfStart)) {
    return { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data }, ...title }
  }
  if (inline?.mediaType.startsWith('text/')) {
    const text = Buffer.from(data, 'base64').toString('utf8')
    return { type: 'document', source: { type: 'text', media_type: 'text/plain', data: text }, ...title }
  }
  throw unsupported(path, 'accepts PDF and plain text files only')
}

function unsupported(path: string, why: string): RouterError {
  return badRequest(`'${path}': the upstream of this model ${why}`, path)
}
