import { parseJson } from '../../lib/json/read.ts'
import type { JsonScan } from '../../lib/json/splice.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Target } from '../../sdk/target.ts'

/** Changes to a tokenize or detokenize request, and to its response, for one target. */
export interface TokenizeForm {
  set: Record<string, unknown>
  removed: readonly string[]
  /** Members to add for the client's form of the response. */
  added(answer: Readonly<Record<string, unknown>>): Record<string, unknown>
}

/**
 * vLLM and SGLang tokenize `prompt`, llama.cpp `content`; it ignores unknown members and then returns no tokens. A client
 * may use either form with all of them. Undefined if nothing differs. Throws `bad_request` for a chat, which
 * llama.cpp does not tokenize.
 */
export function tokenizeForm(
  operation: Operation,
  { bytes, scan }: { bytes: Buffer; scan: JsonScan },
  { type }: Target,
): TokenizeForm | undefined {
  if (type.tokenizes !== 'content') return undefined
  if (operation === 'detokenize')
    return { set: {}, removed: [], added: ({ content }) => ({ prompt: content }) }
  if (operation !== 'tokenize') return undefined
  const memberValue = (name: string): unknown => {
    const member = scan.members.findLast(({ key }) => key === name)
    return member && parseJson(bytes.subarray(member.valueStart, member.valueEnd).toString())
  }
  if (memberValue('content') !== undefined) return undefined
  const prompt = memberValue('prompt')
  if (prompt === undefined) {
    if (memberValue('messages') === undefined) return undefined
    throw badRequest(
      "llama.cpp tokenizes a text: send it as 'content' or 'prompt', or count a chat with POST /v1/messages/count_tokens",
      'messages',
      'unsupported_parameter',
    )
  }
  if (typeof prompt !== 'string') throw badRequest("'prompt' must be a string", 'prompt')
  return {
    set: {
      content: prompt,
      add_special: memberValue('add_special_tokens') ?? true,
      ...(memberValue('return_token_strs') === true ? { with_pieces: true } : {}),
    },
    removed: ['prompt', 'add_special_tokens', 'return_token_strs'],
    added: ({ tokens }) => inVllmsForm(Array.isArray(tokens) ? tokens : []),
  }
}

function inVllmsForm(tokens: readonly unknown[]): Record<string, unknown> {
  const pieces = tokens.filter((token): token is { id: number; piece: unknown } => typeof token === 'object')
  return {
    count: tokens.length,
    ...(pieces.length > 0
      ? { tokens: pieces.map(({ id }) => id), token_strs: pieces.map(({ piece }) => piece) }
      : {}),
  }
}
