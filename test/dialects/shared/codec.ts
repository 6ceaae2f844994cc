import assert from 'node:assert/strict'
import type { ChatEvent, ChatRequest } from '../../../src/sdk/chat.ts'
import type { AnswerContext, ChatPassthrough, ChatStreamReader } from '../../../src/sdk/dialect.ts'
import { RouterError } from '../../../src/sdk/errors.ts'

// What the tests of the dialects have in common: streams in pieces, and requests in canonical form.

export function cutAt(bytes: Buffer, at: number): Buffer[] {
  return [bytes.subarray(0, at), bytes.subarray(at)]
}

/** Every way to cut bytes in two. */
export function everyCut(bytes: Buffer): Buffer[][] {
  return Array.from(bytes, (_byte, at) => cutAt(bytes, at))
}

export function singleBytes(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_byte, at) => bytes.subarray(at, at + 1))
}

export function withLineEnds(bytes: Buffer, lineEnd: string): Buffer {
  return Buffer.from(bytes.toString().replaceAll('\n', lineEnd))
}

/** The events of a stream that arrives in these pieces and then ends. */
export function eventsOf(reader: ChatStreamReader, pieces: readonly Uint8Array[]): ChatEvent[] {
  const events: ChatEvent[] = []
  const emit = (event: ChatEvent): void => {
    events.push(event)
  }
  for (const piece of pieces) reader.push(piece, emit)
  reader.end(emit)
  return events
}

export interface Passed {
  out: string
  state: ChatPassthrough['state']
}

/** What a passthrough makes of a stream that arrives in these pieces and, by default, ends then. */
export function passed(passthrough: ChatPassthrough, pieces: readonly Buffer[], ends = true): Passed {
  const out = pieces.map((piece) => passthrough.push(piece))
  if (ends) out.push(passthrough.end())
  return {
    out: Buffer.concat(out.filter((bytes) => bytes !== undefined)).toString(),
    state: passthrough.state,
  }
}

export const context: AnswerContext = {
  model: 'alias',
  id: '0123456789abcdef01234567',
  created: 1_795_400_000,
  includeUsage: true,
  elapsedMs: () => 5,
  now: () => new Date(0),
}

export function chatRequest(changes: Partial<ChatRequest> = {}): ChatRequest {
  return {
    model: 'alias',
    stream: false,
    includeUsage: true,
    messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hi' }] }],
    tools: [],
    sampling: {},
    extras: {},
    ...changes,
  }
}

/** The error of a request that is rejected with 400. */
export function rejection(act: () => unknown): RouterError {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof RouterError, String(error))
    assert.equal(error.status, 400)
    return error
  }
  return assert.fail('must be rejected')
}
