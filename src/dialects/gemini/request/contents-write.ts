import { append } from '../../../lib/append.ts'
import { parseExactObject } from '../../../lib/json/exact.ts'
import { type JsonObject, present } from '../../../lib/json/read.ts'
import type {
  AssistantMessage,
  ChatMessage,
  FilePart,
  ImagePart,
  ToolMessage,
  UserPart,
} from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { WriteRequestOptions } from '../../../sdk/write-options.ts'
import { imageTypeOf, readDataUrl } from '../../shared/media.ts'
import { signatureFor } from '../../shared/signatures.ts'
import { orderedPieces } from '../../shared/tools/call-order.ts'
import { argumentObject } from '../../shared/tools/tool-arguments.ts'
import { standInSignature } from '../signatures.ts'

export interface WrittenContents {
  systemInstruction: JsonObject | undefined
  contents: JsonObject[]
}

interface Turn {
  role: 'user' | 'model'
  /** Results by the id of their call, which come before the other parts. */
  results: Map<string, JsonObject>
  parts: JsonObject[]
  /** Names by id of the calls in this turn (model), or in the previous one (user). */
  calls: Map<string, string>
}

type Options = Pick<WriteRequestOptions, 'model' | 'drop'>

/**
 * Writes a conversation by Gemini's rules: system text only at the beginning, user and model alternate beginning with the user,
 * and all results of a turn's calls are in the next turn. Source: Gemini API reference, "Content" and "Function calling".
 */
export function writeContents(messages: readonly ChatMessage[], options: Options): WrittenContents {
  const turns: Turn[] = []
  const system: JsonObject[] = []
  for (const [index, message] of messages.entries()) {
    const path = `messages[${index}].content`
    if (message.role !== 'tool' && message.name !== undefined)
      options.drop('messages.name', 'Gemini has no field for speaker names')
    switch (message.role) {
      case 'system': {
        const parts = message.parts.filter(({ text }) => text !== '').map(({ text }) => ({ text }))
        if (turns.length === 0) append(system, parts)
        else append(turnOf(turns, 'user').parts, parts)
        break
      }
      case 'user':
        append(
          turnOf(turns, 'user').parts,
          message.parts.flatMap((part) => writePart(part, path)),
        )
        reportMembers(message.parts, options)
        break
      case 'tool':
        reportMembers(message.parts, options)
        addResult(turnOf(turns, 'user'), message, path, options)
        break
      case 'assistant': {
        const turn = turnOf(turns, 'model')
        for (const { id, name } of message.toolCalls) turn.calls.set(id, name)
        append(turn.parts, writeAssistant(message, options))
      }
    }
  }
  const contents = turns
    .map(({ role, results, parts }) => ({ role, parts: [...results.values(), ...parts] }))
    .filter(({ parts }) => parts.length > 0)
  if (contents[0]?.role !== 'user') contents.unshift({ role: 'user', parts: [{ text: '(continue)' }] })
  return { systemInstruction: system.length === 0 ? undefined : { parts: system }, contents }
}

function turnOf(turns: Turn[], role: Turn['role']): Turn {
  const last = turns.at(-1)
  if (last?.role === role) return last
  const calls = role === 'user' ? last?.calls : undefined
  const turn: Turn = { role, results: new Map(), parts: [], calls: calls ?? new Map() }
  turns.push(turn)
  return turn
}

function addResult(turn: Turn, message: ToolMessage, path: string, { drop }: Options): void {
  const { callId: id } = message
  const name = turn.calls.get(id)
  if (name === undefined || turn.results.has(id)) {
    drop('messages.tool_call_id', 'a result without a call in the previous turn was sent as user text')
    append(
      turn.parts,
      message.parts.flatMap((part) => writePart(part, path)),
    )
    return
  }
  const texts = message.parts.flatMap((part) => (part.type === 'text' ? [part.text] : []))
  const response = resultOf(texts.join('\n'), message.isError === true)
  turn.results.set(id, { functionResponse: { id, name, response } })
  const media = message.parts.filter(({ type }) => type !== 'text')
  append(
    turn.parts,
    media.flatMap((part) => writePart(part, path)),
  )
}

/** An object is sent unchanged; other results use the documented members `output` and `error`. */
function resultOf(text: string, isError: boolean): JsonObject {
  if (isError) return { error: text }
  return (text.trimStart().startsWith('{') ? parseExactObject(text) : undefined) ?? { output: text }
}

/** Thoughts are sent back as Google's own client does; their signature is on the following part. */
function writeAssistant(message: AssistantMessage, { model }: Options): JsonObject[] {
  const turnSignature = signatureFor('gemini', message.reasoningSignature)
  const thoughts = message.reasoning === '' ? [] : [{ text: message.reasoning, thought: true }]
  const parts = orderedPieces(message).flatMap((piece): JsonObject[] => {
    if (piece.type === 'part') return piece.part.text === '' ? [] : [{ text: piece.part.text }]
    const { id, name, arguments: json, signature } = piece.call
    const fallback = piece.index === 0 ? (turnSignature ?? standInSignature(model)) : undefined
    return [
      {
        functionCall: { id, name, args: argumentObject(json) },
        ...present({ thoughtSignature: signature ?? fallback }),
      },
    ]
  })
  const last = parts.at(-1)
  if (last && message.toolCalls.length === 0 && turnSignature !== undefined)
    last.thoughtSignature = turnSignature
  return [...thoughts, ...parts]
}

function writePart(part: UserPart, path: string): JsonObject[] {
  switch (part.type) {
    case 'text':
      return part.text === '' ? [] : [{ text: part.text }]
    case 'image':
      return [writeImage(part)]
    case 'audio':
      return [inline(`audio/${part.format}`, part.data)]
    case 'file':
      return [writeFile(part, path)]
  }
}

function reportMembers(parts: readonly UserPart[], { drop }: Options): void {
  const isNamed = parts.some((part) => part.type === 'file' && part.name !== undefined)
  if (isNamed) drop('file.filename', 'Gemini has no field for the names of files')
  const hasDetail = parts.some((part) => part.type === 'image' && (part.detail ?? 'auto') !== 'auto')
  if (hasDetail) drop('image_url.detail', 'Gemini has a single image resolution per request')
}

function inline(mimeType: string, data: string): JsonObject {
  return { inlineData: { mimeType, data } }
}

/** Media types from clients are often wrong, and Gemini does not know `image/jpg`. */
function writeImage({ source }: ImagePart): JsonObject {
  if (source.kind === 'url') return { fileData: { fileUri: source.url } }
  return inline(imageTypeOf(source.data) ?? source.mediaType, source.data)
}

function writeFile({ data, url, fileId }: FilePart, path: string): JsonObject {
  if (data === undefined) {
    if (url !== undefined) return { fileData: { fileUri: url } }
    if (fileId !== undefined && /^https:\/\//.test(fileId)) return { fileData: { fileUri: fileId } }
    throw badRequest(
      `'${path}': the upstream of this model does not know file ids of other providers; send the data`,
      path,
    )
  }
  const parsed = readDataUrl(data)
  return inline(parsed?.mediaType || 'application/pdf', parsed?.data ?? data)
}
