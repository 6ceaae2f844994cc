import { readFileSync } from 'node:fs'
import type { StoredItems } from '../../../src/dialects/responses/request/input-read.ts'
import { readRequest } from '../../../src/dialects/responses/request/read.ts'
import { createReader } from '../../../src/dialects/responses/stream/read.ts'
import type { ChatEvent, ChatMessage, ChatRequest } from '../../../src/sdk/chat.ts'
import type { AnswerContext, ChatStreamReader } from '../../../src/sdk/dialect.ts'
import type { RouterError } from '../../../src/sdk/errors.ts'
import { eventsOf, rejection } from '../shared/codec.ts'

export type Json = Record<string, unknown>

export function fixture(name: string): Buffer {
  return readFileSync(new URL(`../../fixtures/responses/${name}`, import.meta.url))
}

export const context: AnswerContext = {
  model: 'alias',
  id: '0123456789abcdef01234567',
  created: 1_795_392_000,
  includeUsage: false,
  elapsedMs: () => 5,
  now: () => new Date(1_795_392_001_900),
  request: {},
}

export function readMembers(members: Json, remembered?: StoredItems): ChatRequest {
  return readRequest({ model: 'm', input: 'Hi', ...members }, false, remembered)
}

export function turns(...input: object[]): ChatMessage[] {
  return readMembers({ input }).messages
}

/** The path in a 400 error. */
export function refusedAt(members: Json): string | undefined {
  return refusal(members).param
}

export function refusal(members: Json): RouterError {
  return rejection(() => readMembers(members))
}

/** Ids in the order of the requests for them, so that responses can be compared. */
export function countingIds(): () => string {
  let count = 0
  return () => `made_${count++}`
}

export function readPieces(
  pieces: readonly Uint8Array[],
  reader: ChatStreamReader = createReader(countingIds()),
): ChatEvent[] {
  return eventsOf(reader, pieces)
}

/** The bytes of a stream of these events. */
export function streamOf(...events: Json[]): Buffer {
  return Buffer.from(
    events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
  )
}
