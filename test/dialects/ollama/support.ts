import { readFileSync } from 'node:fs'
import { createPassthrough } from '../../../src/dialects/ollama/passthrough.ts'
import { createReader } from '../../../src/dialects/ollama/stream/read.ts'
import type { ChatEvent, ChatRequest } from '../../../src/sdk/chat.ts'
import type { AnswerContext, ChatPassthrough } from '../../../src/sdk/dialect.ts'

export const fixtures = [
  'text',
  'thinking',
  'two-calls-one-line',
  'calls-without-ids',
  'logprobs',
  'error-line',
] as const

export function fixture(name: (typeof fixtures)[number]): Buffer {
  return readFileSync(new URL(`../../fixtures/ollama/${name}.ndjson`, import.meta.url))
}

/** The events of chunks and a clean close. Generated ids count up from `made_1`. */
export function readChunks(chunks: readonly Buffer[], close = true, isComplete = false): ChatEvent[] {
  let made = 0
  const reader = createReader(() => `made_${++made}`)
  const events: ChatEvent[] = []
  for (const chunk of chunks) reader.push(chunk, (event) => events.push(event))
  if (close) reader.end((event) => events.push(event), isComplete)
  return events
}

export function readText(text: string, isComplete = false): ChatEvent[] {
  return readChunks([Buffer.from(text)], true, isComplete)
}

export interface Passed {
  out: string
  state: ChatPassthrough['state']
}

export function passChunks(chunks: readonly Buffer[], model = 'alias', close = true): Passed {
  const passthrough = createPassthrough({ model, stripUsage: false, choices: 1 })
  const out: Buffer[] = []
  for (const chunk of chunks) {
    const bytes = passthrough.push(chunk)
    if (bytes) out.push(bytes)
  }
  const last = close ? passthrough.end() : undefined
  if (last) out.push(last)
  return { out: Buffer.concat(out).toString(), state: passthrough.state }
}

export function cutInTwo(bytes: Buffer): Buffer[][] {
  return Array.from(bytes, (_byte, at) => [bytes.subarray(0, at), bytes.subarray(at)])
}

export function oneByOne(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_byte, at) => bytes.subarray(at, at + 1))
}

/** A context whose clock is set by the test, in milliseconds since the request. */
export function contextAt(clock: { ms: number }, model = 'alias'): AnswerContext {
  return {
    model,
    id: 'x'.repeat(24),
    created: 1_795_428_000,
    includeUsage: true,
    elapsedMs: () => clock.ms,
    now: () => new Date(Date.UTC(2026, 10, 23, 10, 0, 0) + clock.ms),
  }
}

export function chatRequest(changes: Partial<ChatRequest> = {}): ChatRequest {
  return {
    model: 'alias',
    stream: true,
    includeUsage: true,
    messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hi' }] }],
    tools: [],
    sampling: {},
    extras: {},
    ...changes,
  }
}
