import { isObject, parseObject, textOf } from '../../lib/json/read.ts'
import { openBrace } from '../../lib/json/splice.ts'
import type { AssistantMessage } from '../../sdk/chat.ts'

type Thoughts = Pick<AssistantMessage, 'reasoning' | 'reasoningSignature'>

/** The member that contains thoughts signed by another vendor. */
const wrapperMember = 'llm-router'

/**
 * Another vendor's signed thoughts as a `thoughtSignature`, which clients send back unchanged. It is base64, because clients
 * in Go, Java and Python decode it to bytes. It includes the thoughts, because not every client sends them back and the
 * signature is invalid without them.
 */
export function wrapForeignThoughts(signature: string, reasoning: string): string {
  return Buffer.from(JSON.stringify({ [wrapperMember]: { signature, reasoning } })).toString('base64')
}

/** Decodes {@link wrapForeignThoughts}; undefined for a signature of Gemini itself. */
export function unwrapForeignThoughts(thoughtSignature: string): Thoughts | undefined {
  const bytes = Buffer.from(thoughtSignature, 'base64')
  if (bytes[0] !== openBrace) return undefined
  const carried = parseObject(bytes.toString())?.[wrapperMember]
  if (!isObject(carried)) return undefined
  const signature = textOf(carried.signature)
  if (signature === undefined) return undefined
  return { reasoning: textOf(carried.reasoning) ?? '', reasoningSignature: signature }
}

/**
 * Replaces the signature that Gemini 3 requires, for a call of another model. Source: Gemini API documentation, "Thought
 * signatures", on histories of other models.
 */
const skipValidation = 'skip_thought_signature_validator'

/** The signature for the first call of a turn that has none; undefined if the model does not require one. */
export function standInSignature(model: string): string | undefined {
  return generationOf(model) >= 3 ? skipValidation : undefined
}

/** The generation of a Gemini model, such as 3; 0 for any other model. */
export function generationOf(model: string): number {
  return Number(/(?:^|\/)gemini-(\d+)/.exec(model)?.[1] ?? 0)
}
