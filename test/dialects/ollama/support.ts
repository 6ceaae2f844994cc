import { readFileSync } from 'node:fs'
import { createPassthrough } from '../../../src/dialects/ollama/passthrough.ts'
import { createReader } from '../../../src/dialects/ollama/stream/read.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import type { AnswerContext } from '../../../src/sdk/dialect.ts'
import { type Passed, passed } from '../shared/codec.ts'

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

export function passChunks(chunks: readonly Buffer[], model = 'alias', close = true): Passed {
  return passed(createPassthrough({ model, stripUsage: false, choices: 1 }), chunks, close)
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
