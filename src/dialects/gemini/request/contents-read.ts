import {
  filledTextOf,
  isObject,
  type JsonObject,
  objectsIn,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type {
  AssistantMessage,
  ChatMessage,
  SystemMessage,
  ToolMessage,
  UserPart,
} from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { ReportField } from '../../shared/dropped-fields.ts'
import { textParts } from '../../shared/message-parts.ts'
import { tagSignature } from '../../shared/signatures.ts'
import { ConversationCalls } from '../../shared/tools/call-ids.ts'
import { addParts } from '../../shared/tools/call-order.ts'
import { mergedTurns } from '../../shared/tools/merged-turns.ts'
import { argumentText, wholeArgumentText } from '../../shared/tools/tool-arguments.ts'
import { listIn, memberOf, objectIn } from '../members.ts'
import { unwrapForeignThoughts } from '../signatures.ts'
import { readUserPart } from './parts-read.ts'

/** Reads `systemInstruction`: a content, whose role is ignored, or a string, which some clients send. */
export function readSystem(instruction: unknown): SystemMessage[] {
  const texts =
    typeof instruction === 'string'
      ? [instruction]
      : objectsIn(partsOf(instruction)).map((part) => textOf(part.text) ?? '')
  const parts = texts.flatMap(textParts)
  return parts.length === 0 ? [] : [{ role: 'system', developer: false, parts }]
}

function partsOf(content: unknown): unknown[] {
  if (!isObject(content)) return []
  return Array.isArray(content.parts) ? content.parts : [content.parts]
}

/**
 * Reads the turns of a conversation. Results of calls become separate messages before the rest of their turn. Throws
 * `bad_request` with the path of the error.
 */
export function readContents(contents: unknown, drop: ReportField): ChatMessage[] {
  const reader = new ContentsReader(drop)
  const list: unknown[] = Array.isArray(contents) ? contents : [contents]
  const messages = list.flatMap((content, index) => {
    const path = `contents[${index}]`
    if (!isObject(content)) throw badRequest(`'${path}' must be an object with parts`, path)
    return reader.read(content, path)
  })
  return mergedTurns(messages)
}

class ContentsReader {
  readonly #drop: ReportField
  readonly #calls = new ConversationCalls('call_')

  constructor(drop: ReportField) {
    this.#drop = drop
  }

  read(content: JsonObject, path: string): ChatMessage[] {
    const parts = partsOf(content).filter(isObject)
    switch (content.role ?? 'user') {
      case 'model':
        return [this.#assistant(parts, path)]
      case 'user':
      case 'function':
      case 'tool':
        return this.#user(parts, path)
      case 'system':
        return readSystem(content)
      default:
        throw badRequest(`'${path}.role' must be user or model`, `${path}.role`)
    }
  }

  #user(parts: readonly JsonObject[], path: string): ChatMessage[] {
    const results: ToolMessage[] = []
    const rest: UserPart[] = []
    for (const [index, part] of parts.entries()) {
      const response = objectIn(part, 'functionResponse')
      if (response) results.push(this.#result(response, `${path}.parts[${index}]`))
      else rest.push(...readUserPart(part, this.#drop))
    }
    if (rest.length === 0 && results.length > 0) return results
    return [...results, { role: 'user', parts: rest }]
  }

  #result(response: JsonObject, path: string): ToolMessage {
    const name = filledTextOf(response.name)
    const sentId = filledTextOf(response.id)
    if (name === undefined && sentId === undefined)
      throw badRequest(
        `'${path}.functionResponse.name' must be a non-empty string`,
        `${path}.functionResponse.name`,
      )
    const call =
      (sentId === undefined ? undefined : this.#calls.answerById(sentId)) ??
      (name === undefined ? undefined : this.#calls.answerByName(name))
    const id = call?.id ?? sentId ?? name ?? ''
    const callName = call?.name ?? name
    const media = listIn(response, 'parts').flatMap((part) => readUserPart(part, this.#drop))
    const { text, isError } = readResult(response.response)
    return {
      role: 'tool',
      callId: id,
      ...(callName === undefined ? {} : { name: callName }),
      parts: [...textParts(text), ...media],
      ...(isError ? { isError } : {}),
    }
  }

  #assistant(parts: readonly JsonObject[], path: string): AssistantMessage {
    const message: AssistantMessage = { role: 'assistant', parts: [], reasoning: '', toolCalls: [] }
    let foreignThoughts: ReturnType<typeof unwrapForeignThoughts>
    for (const [index, part] of parts.entries()) {
      const sent = filledTextOf(memberOf(part, 'thoughtSignature'))
      const fromOtherVendor = sent === undefined ? undefined : unwrapForeignThoughts(sent)
      foreignThoughts ??= fromOtherVendor
      const signature = fromOtherVendor ? undefined : sent
      const call = objectIn(part, 'functionCall')
      const text = textOf(part.text)
      if (call) this.#call(message, call, { signature, path: `${path}.parts[${index}]` })
      else if (text === undefined) this.#drop(`contents.${Object.keys(part)[0] ?? 'parts'}`)
      else if (part.thought === true) message.reasoning += text
      else addParts(message, textParts(text))
      if (!call && signature !== undefined) message.reasoningSignature = tagSignature('gemini', signature)
    }
    return { ...message, ...foreignThoughts }
  }

  #call(
    message: AssistantMessage,
    call: JsonObject,
    { signature, path }: { signature: string | undefined; path: string },
  ): void {
    const name = filledTextOf(call.name)
    const at = `${path}.functionCall.name`
    if (name === undefined) throw badRequest(`'${at}' must be a non-empty string`, at)
    const id = this.#calls.add(filledTextOf(call.id) ?? '', name)
    message.toolCalls.push({ id, name, arguments: wholeArgumentText(call.args), ...present({ signature }) })
  }
}

/** `output` and `error` are the documented members; any other object is the result itself. */
function readResult(response: unknown): { text: string; isError: boolean } {
  if (!isObject(response)) return { text: argumentText(response), isError: false }
  const [only, ...others] = Object.keys(response)
  const isNamed = others.length === 0 && (only === 'output' || only === 'error' || only === 'result')
  const result = isNamed ? response[only] : response
  return { text: argumentText(result), isError: isNamed && only === 'error' }
}
