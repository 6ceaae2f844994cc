import { createHash } from 'node:crypto'
import { randomCallId as randomId } from '../shared/call-ids.ts'

/** An id for a tool call that came without one, in the form of Anthropic's own. */
export function randomCallId(): string {
  return randomId('toolu_')
}

/**
 * The id as Anthropic takes it (API reference, `tool_use.id`: `^[a-zA-Z0-9_-]+$`). Others, such as `functions.f:0`, get
 * a stand-in that follows from the id alone, so that a call and its result agree in every turn without any memory.
 */
export function legalCallId(id: string): string {
  if (/^[a-zA-Z0-9_-]+$/.test(id)) return id
  return `toolu_${createHash('sha256').update(id).digest('hex').slice(0, 24)}`
}
