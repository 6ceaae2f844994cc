import { readFileSync } from 'node:fs'
import { createPassthrough } from '../../../src/dialects/openai/passthrough.ts'
import { createReader } from '../../../src/dialects/openai/stream/read.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import type { AnswerContext, ChatPassthrough, ChatStreamReader } from '../../../src/sdk/dialect.ts'

export function fixture(name: string): Buffer {
  return readFileSync(new URL(`../../fixtures/openai/${name}`, import.meta.url))
}

/** Ids in the order of the requests for them, so that responses can be compared. */
export function countingReader(): ChatStreamReader {
  let count = 0
  return createReader(() => `made_${count++}`)
}

export function readPieces(pieces: readonly Uint8Array[], reader = countingReader()): ChatEvent[] {
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

export function passPieces(
  pieces: readonly Buffer[],
  options: { model?: string; stripUsage?: boolean; choices?: number } = {},
): Passed {
  const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1, ...options })
  const out = pieces.map((piece) => passthrough.push(piece)).filter((bytes) => bytes !== undefined)
  const last = passthrough.end()
  if (last) out.push(last)
  return { out: Buffer.concat(out).toString(), state: passthrough.state }
}

export function cutAt(bytes: Buffer, at: number): Buffer[] {
  return [bytes.subarray(0, at), bytes.subarray(at)]
}

export function singleBytes(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
}

export function withLineEnds(bytes: Buffer, lineEnd: string): Buffer {
  return Buffer.from(bytes.toString().replaceAll('\n', lineEnd))
}

export const context: AnswerContext = {
  model: 'alias',
  id: '0123456789abcdef01234567',
  created: 1_795_400_000,
  includeUsage: true,
  elapsedMs: () => 5,
  now: () => new Date(0),
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
