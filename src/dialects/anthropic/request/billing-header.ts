import { isObject, type JsonObject, objectsIn } from '../../../lib/json/read.ts'
import type { Edit } from '../../../lib/json/splice.ts'
import type { PassthroughRequest } from '../../../sdk/dialect.ts'

/*
 * Claude Code begins its system prompt with a line for Anthropic's billing. The line contains a nonce, so no two requests have
 * a common prefix, and an engine would process the whole prompt again in each turn. Only Anthropic receives it.
 */
const name = 'x-anthropic-billing-header'
const line = new RegExp(`^\\s*${name}:[^\\n]*(?:\\n+|$)`)

export const billingNotice = `the ${name} line of the system prompt was removed because it would defeat prompt caching`

/** A text of the system prompt without a leading billing line. */
export function withoutBillingHeader(text: string): string {
  return text.replace(line, '')
}

/** Whether a system prompt begins with the line. */
export function hasBillingHeader(system: unknown): boolean {
  const texts = typeof system === 'string' ? [system] : objectsIn(system).map(({ text }) => text)
  return texts.some((text) => typeof text === 'string' && line.test(text))
}

/** Edits that remove the line from a forwarded request; empty if it is absent. */
export function billingEdits({ bytes, scan }: Pick<PassthroughRequest, 'bytes' | 'scan'>): Edit[] {
  return scan.members.flatMap(({ key, valueStart: start, valueEnd: end }) => {
    if (key !== 'system' || bytes.subarray(start, end).indexOf(name) === -1) return []
    const sent: unknown = JSON.parse(bytes.toString('utf8', start, end))
    const system = withoutHeader(sent)
    return system === sent ? [] : [{ start, end, text: JSON.stringify(system) }]
  })
}

/** Returns the same value if nothing changes. */
function withoutHeader(system: unknown): unknown {
  if (typeof system === 'string') return withoutBillingHeader(system)
  if (!Array.isArray(system)) return system
  const blocks = system.map((block: unknown) => (isObject(block) ? blockWithoutHeader(block) : block))
  if (blocks.every((block, index) => block === system[index])) return system
  return blocks.filter((block) => block !== undefined)
}

/** Undefined for a block without other text: Anthropic's API rejects empty text. */
function blockWithoutHeader(block: JsonObject): JsonObject | undefined {
  if (typeof block.text !== 'string') return block
  const text = withoutBillingHeader(block.text)
  if (text === block.text) return block
  return text.trim() === '' ? undefined : { ...block, text }
}
