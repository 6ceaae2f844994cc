import { readRequest } from '../../../src/dialects/openai/request/read.ts'
import type { ChatMessage, ChatRequest } from '../../../src/sdk/chat.ts'
import { rejection } from '../shared/codec.ts'

const user = { role: 'user', content: 'Hi' }

export function readMembers(members: Record<string, unknown>): ChatRequest {
  return readRequest({ model: 'm', messages: [user], ...members }, false)
}

export function turns(...messages: object[]): ChatMessage[] {
  return readMembers({ messages }).messages
}

/** The path in a 400 error. */
export function refusedAt(members: Record<string, unknown>): string | undefined {
  return rejection(() => readMembers(members)).param
}

export function call(id: string | undefined, args: unknown = '{}', name = 'f'): object {
  return { ...(id === undefined ? {} : { id }), type: 'function', function: { name, arguments: args } }
}
