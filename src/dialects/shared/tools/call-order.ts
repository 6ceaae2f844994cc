import { append } from '../../../lib/append.ts'
import type { AssistantMessage, AssistantPart, ToolCall } from '../../../sdk/chat.ts'

export type MessagePiece =
  | { type: 'part'; part: AssistantPart }
  | { type: 'call'; call: ToolCall; index: number }

/** Adds parts that follow the calls which the message has so far. */
export function addParts(message: AssistantMessage, parts: readonly AssistantPart[]): void {
  const { length } = message.parts
  if (parts.length > 0)
    for (let index = message.toolCalls.length - 1; index >= 0; index--) {
      const call = message.toolCalls[index]
      if (!call || call.partsBefore !== undefined) break
      call.partsBefore = length
    }
  append(message.parts, parts)
}

/** The parts and calls of a message in their order, for dialects that have one. */
export function orderedPieces({ parts, toolCalls }: AssistantMessage): MessagePiece[] {
  const pieces: MessagePiece[] = []
  let written = 0
  const writeUntil = (end: number): void => {
    for (const part of parts.slice(written, end)) pieces.push({ type: 'part', part })
    written = Math.max(written, end)
  }
  for (const [index, call] of toolCalls.entries()) {
    writeUntil(call.partsBefore ?? parts.length)
    pieces.push({ type: 'call', call, index })
  }
  writeUntil(parts.length)
  return pieces
}
