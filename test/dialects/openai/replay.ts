import { readFileSync } from 'node:fs'
import { createPassthrough } from '../../../src/dialects/openai/passthrough.ts'
import { createReader } from '../../../src/dialects/openai/stream/read.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import type { ChatStreamReader } from '../../../src/sdk/dialect.ts'
import { eventsOf, type Passed, passed } from '../shared/codec.ts'

export function fixture(name: string): Buffer {
  return readFileSync(new URL(`../../fixtures/openai/${name}`, import.meta.url))
}

/** Ids in the order of the requests for them, so that responses can be compared. */
export function countingReader(): ChatStreamReader {
  let count = 0
  return createReader(() => `made_${count++}`)
}

export function readPieces(pieces: readonly Uint8Array[], reader = countingReader()): ChatEvent[] {
  return eventsOf(reader, pieces)
}

export function passPieces(
  pieces: readonly Buffer[],
  options: { model?: string; stripUsage?: boolean; choices?: number } = {},
): Passed {
  return passed(createPassthrough({ model: 'alias', stripUsage: false, choices: 1, ...options }), pieces)
}

export function read(...events: (object | string)[]): ChatEvent[] {
  const lines = events.map((each) => `data: ${typeof each === 'string' ? each : JSON.stringify(each)}\n\n`)
  return readPieces([Buffer.from(lines.join(''))])
}

export function delta(value: object, finish: string | null = null, index = 0): object {
  return { id: 'x', choices: [{ index, delta: value, finish_reason: finish }] }
}

export function fragment(value: object): object {
  return delta({ tool_calls: [value] })
}

export function lastOf(events: readonly ChatEvent[]): ChatEvent | undefined {
  return events.at(-1)
}

export function causeCodeOf(events: readonly ChatEvent[]): string | undefined {
  const last = lastOf(events)
  return last?.type === 'error' ? last.error.causeCode : undefined
}
