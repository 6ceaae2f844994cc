import { type JsonObject, parseArguments } from '../../lib/json/read.ts'
import type { AssistantMessage, ChatMessage, ToolMessage } from '../../sdk/chat.ts'
import type { Lose } from '../../sdk/dialect.ts'
import { badRequest } from '../../sdk/errors.ts'
import { writeParts, writeTexts } from './blocks-write.ts'
import { legalCallId } from './call-ids.ts'
import { toWireName } from './tool-names.ts'

export interface WrittenTurns {
  system: JsonObject[]
  messages: JsonObject[]
}

interface AssistantTurn {
  role: 'assistant'
  content: JsonObject[]
  calls: string[]
}

interface UserTurn {
  role: 'user'
  /** Results by the id of their call. */
  results: Map<string, JsonObject>
  rest: JsonObject[]
  /** The calls of the turn before, all of which must be answered here. */
  calls: readonly string[]
}

type Turn = AssistantTurn | UserTurn

/**
 * Writes a conversation by Anthropic's rules (API reference, "Create a Message", and "Tool use"): user and assistant take
 * turns, the user begins, all results of a turn's calls stand at the beginning of the next one, no text is blank.
 */
export function writeMessages(messages: readonly ChatMessage[], lose: Lose): WrittenTurns {
  const turns: Turn[] = []
  const system: JsonObject[] = []
  for (const [index, message] of messages.entries()) {
    if (message.role !== 'tool' && message.name !== undefined) {
      lose('messages.name', 'Anthropic knows no names of speakers')
    }
    if (message.role === 'system' && turns.length === 0) {
      system.push(...writeTexts(message.parts.map(({ text }) => text)))
    } else addMessage(turns, message, `messages[${index}]`, lose)
  }
  return { system, messages: finished(turns) }
}

function addMessage(turns: Turn[], message: ChatMessage, place: string, lose: Lose): void {
  switch (message.role) {
    case 'system': {
      lose('messages.system', 'Anthropic has system text in front only; a later one was sent as user text')
      const text = message.parts.map((part) => part.text).join('\n\n')
      userTurn(turns).rest.push({ type: 'text', text: `<system>\n${text}\n</system>` })
      return
    }
    case 'user': {
      const blocks = writeParts(message.parts, `${place}.content`, lose)
      if (blocks.length > 0) userTurn(turns).rest.push(...blocks)
      return
    }
    case 'tool':
      addResult(userTurn(turns), message, place, lose)
      return
    case 'assistant':
      addAssistant(turns, message, place, lose)
  }
}

function userTurn(turns: Turn[]): UserTurn {
  const last = turns.at(-1)
  if (last?.role === 'user') return last
  const turn: UserTurn = { role: 'user', results: new Map(), rest: [], calls: last?.calls ?? [] }
  turns.push(turn)
  return turn
}

function addResult(turn: UserTurn, message: ToolMessage, place: string, lose: Lose): void {
  const id = legalCallId(message.callId)
  const content = writeParts(message.parts, `${place}.content`, lose)
  if (!turn.calls.includes(id) || turn.results.has(id)) {
    lose('messages.tool_call_id', 'a result that answers no call of the turn before was sent as user text')
    turn.rest.push(...content)
    return
  }
  turn.results.set(id, {
    type: 'tool_result',
    tool_use_id: id,
    ...(content.length > 0 ? { content } : {}),
    ...(message.isError ? { is_error: true } : {}),
  })
}

function addAssistant(turns: Turn[], message: AssistantMessage, place: string, lose: Lose): void {
  const { parts, reasoning, reasoningSignature: signature, toolCalls } = message
  if (reasoning !== '' && signature === undefined) {
    lose('messages.reasoning', 'Anthropic takes back only thoughts that it has signed')
  }
  const calls = toolCalls.map((call, index) => {
    const param = `${place}.tool_calls[${index}].function`
    const input = parseArguments(call.arguments)
    if (!input) throw badRequest(`'${param}.arguments' must be the JSON text of an object`, param)
    return {
      type: 'tool_use',
      id: legalCallId(call.id),
      name: toWireName(call.name, `${param}.name`),
      input,
    }
  })
  const content: JsonObject[] = [
    ...(signature === undefined ? [] : [{ type: 'thinking', thinking: reasoning, signature }]),
    ...writeTexts(parts.map(({ text }) => text)),
    ...calls,
  ]
  if (content.length === 0) return
  const last = turns.at(-1)
  const turn: AssistantTurn =
    last?.role === 'assistant' ? last : { role: 'assistant', content: [], calls: [] }
  if (turn !== last) turns.push(turn)
  turn.content.push(...content)
  turn.calls.push(...calls.map(({ id }) => id))
}

function finished(turns: Turn[]): JsonObject[] {
  const last = turns.at(-1)
  if (last?.role === 'assistant' && last.calls.length > 0) userTurn(turns)
  else trimPrefill(last)
  const messages = turns.map((turn): JsonObject => {
    if (turn.role === 'assistant') return { role: turn.role, content: turn.content }
    const results = turn.calls.map((id) => turn.results.get(id) ?? missingResult(id))
    return { role: turn.role, content: [...results, ...turn.rest] }
  })
  if (turns[0]?.role === 'user') return messages
  return [{ role: 'user', content: [{ type: 'text', text: '(continue)' }] }, ...messages]
}

/** An assistant turn at the end is to be continued; blanks behind it are an error. */
function trimPrefill(last: Turn | undefined): void {
  const block = last?.role === 'assistant' ? last.content.at(-1) : undefined
  if (typeof block?.text === 'string') block.text = block.text.trimEnd()
}

/** A call without a result is an error for the whole conversation. */
function missingResult(id: string): JsonObject {
  const content = [{ type: 'text', text: 'No result' }]
  return { type: 'tool_result', tool_use_id: id, content, is_error: true }
}
