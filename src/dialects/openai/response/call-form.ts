import type { JsonObject } from '../../../lib/json/read.ts'
import type { ToolCall } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { customNames, customText } from '../../shared/custom-tools.ts'
import { signedId } from '../../shared/signed-ids.ts'

/** The form in which a client reads calls: that of its request. Clients of `functions` do not look at `tool_calls`. */
export interface CallForm {
  /** Whether it knows `function_call`, the one call of the deprecated form. */
  readonly isLegacy: boolean
  /** Names of its custom tools. */
  readonly custom: ReadonlySet<string>
}

export function callFormOf({ request = {} }: AnswerContext): CallForm {
  const hasTools = Array.isArray(request.tools) && request.tools.length > 0
  return { isLegacy: !hasTools && Array.isArray(request.functions), custom: customNames(request.tools) }
}

/** One of `tool_calls`. Source: OpenAI API reference, "The chat completion object". */
export function writeToolCall(call: ToolCall, { custom }: CallForm): JsonObject {
  const { name, arguments: json } = call
  const id = signedId(call)
  if (custom.has(name)) return { id, type: 'custom', custom: { name, input: customText(json) } }
  return { id, type: 'function', function: { name, arguments: json } }
}
