import { isObject, parseObject, textOf } from '../../lib/json/read.ts'
import type { AssistantMessage } from '../../sdk/chat.ts'

/** Prefix for thoughts signed by another vendor. */
type Thoughts = Pick<AssistantMessage, 'reasoning' | 'reasoningSignature'>

const carrier = 'llm-router'

/**
 * The thoughts of another vendor as a `thoughtSignature`, which clients send back as it is. It is base64: clients in Go, Java and
 * Python keep it as bytes. The thoughts go with it, as not every client repeats them, and the signature is worth nothing without.
 */
export function carriedThoughts(signature: string, reasoning: string): string {
  return Buffer.from(JSON.stringify({ [carrier]: { signature, reasoning } })).toString('base64')
}

/** Decodes {@link carriedThoughts}; undefined for a signature of Gemini itself. */
export function readCarried(thoughtSignature: string): Thoughts | undefined {
  const bytes = Buffer.from(thoughtSignature, 'base64')
  if (bytes[0] !== 0x7b) return undefined
  const carried = parseObject(bytes.toString())?.[carrier]
  if (!isObject(carried)) return undefined
  const signature = textOf(carried.signature)
  if (signature === undefined) return undefined
  return { reasoning: textOf(carried.reasoning) ?? '', reasoningSignature: signature }
}

/**
 * What takes the place of a signature that Gemini 3 requires, where the call was another model's. Source: Gemini API
 * documentation, "Thought signatures", on histories of other models.
 */
const skipped = 'skip_thought_signature_validator'

/** For the first call of a turn that has no signature. */
export function standInSignature(model: string): string | undefined {
  return generationOf(model) >= 3 ? skipped : undefined
}

/** Of a Gemini model; 0 for any other name. */
export function generationOf(model: string): number {
  return Number(/(?:^|\/)gemini-(\d+)/.exec(model)?.[1] ?? 0)
}
