import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createPassthrough } from '../../../src/dialects/anthropic/passthrough.ts'
import { readRequest } from '../../../src/dialects/anthropic/request/read.ts'
import { writeRequest } from '../../../src/dialects/anthropic/request/write.ts'
import { createReader } from '../../../src/dialects/anthropic/stream/read.ts'
import { createWriter } from '../../../src/dialects/anthropic/stream/write.ts'
import type { ChatEvent, ChatMessage, ChatRequest } from '../../../src/sdk/chat.ts'
import type { AnswerContext } from '../../../src/sdk/dialect.ts'
import { chatRequest, context, eventsOf, type Passed, passed, rejection } from '../shared/codec.ts'

export const fixtures = [
  'text.sse',
  'thinking-tools.sse',
  'refusal.sse',
  'stop-sequence.sse',
  'error.sse',
] as const

export function fixture(name: (typeof fixtures)[number]): Buffer {
  return readFileSync(new URL(`../../fixtures/anthropic/${name}`, import.meta.url))
}

export function readPieces(pieces: readonly Uint8Array[]): ChatEvent[] {
  let made = 0
  const reader = createReader(() => `made_${++made}`)
  return eventsOf(reader, pieces)
}

/** One server-sent event per value, named by its type. */
export function sse(...values: Record<string, unknown>[]): Buffer {
  return Buffer.from(
    values.map((value) => `event: ${String(value.type)}\ndata: ${JSON.stringify(value)}\n\n`).join(''),
  )
}

export function read(...values: Record<string, unknown>[]): ChatEvent[] {
  return readPieces([sse(...values)])
}

export function passPieces(pieces: readonly Buffer[], model = 'alias'): Passed {
  return passed(createPassthrough({ model, stripUsage: false, choices: 1 }), pieces)
}

/** The data of each event that a writer emits. Also checks that each event is named by its type. */
export function written(
  events: readonly ChatEvent[],
  changes: Partial<AnswerContext> = {},
): Record<string, unknown>[] {
  const writer = createWriter({ ...context, ...changes })
  const text = events.map((event) => writer.write(event)).join('')
  assert.ok(text === '' || text.endsWith('\n\n'))
  return text
    .split('\n\n')
    .slice(0, -1)
    .map((event) => {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? assert.fail(event)
      const value: Record<string, unknown> = JSON.parse(data ?? '')
      assert.equal(value.type, name)
      return value
    })
}

export const hi = { role: 'user', content: 'Hi' }

export function readMembers(members: Record<string, unknown>): ChatRequest {
  return readRequest({ model: 'm', max_tokens: 100, messages: [hi], ...members }, false)
}

export function turns(...messages: object[]): ChatMessage[] {
  return readMembers({ messages }).messages
}

/** The path in a 400 error. */
export function refusedAt(act: () => unknown): string | undefined {
  return rejection(act).param
}

/** What is sent upstream for a request, and the names of the dropped fields. */
export function sent(changes: Partial<ChatRequest> = {}): { body: Record<string, unknown>; lost: string[] } {
  const lost: string[] = []
  const drop = (field: string): void => {
    lost.push(field)
  }
  return { body: writeRequest(chatRequest(changes), { model: 'claude-up-1', flavour: {}, drop }), lost }
}

export function sentTurns(...messages: ChatMessage[]): unknown {
  return sent({ messages }).body.messages
}
