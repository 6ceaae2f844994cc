import type { JsonObject } from '../../../lib/json/read.ts'
import type { ToolCall } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { signedId } from '../../shared/signatures.ts'
import { customNames, customText } from '../../shared/tools/custom-tools.ts'

/** The form in which a client expects tool calls, by its request: clients that send `functions` do not read `tool_calls`. */
export interface ToolCallFormat {
  /** Whether the client expects the deprecated `function_call`. */
  readonly isLegacy: boolean
  /** Names of the client's custom tools. */
  readonly custom: ReadonlySet<string>
}

export function toolCallFormatOf({ request = {} }: AnswerContext): ToolCallFormat {
  const hasTools = Array.isArray(request.tools) && request.tools.length > 0
  return { isLegacy: !hasTools && Array.isArray(request.functions), custom: customNames(request.tools) }
}

/** An entry of `tool_calls`. Source: OpenAI API reference, "The chat completion object". */
export function writeToolCall(call: ToolCall, { custom }: ToolCallFormat): JsonObject {
  const { name, arguments: json } = call
  const id = signedId(call)
  if (custom.has(name)) return { id, type: 'custom', custom: { name, input: customText(json) } }
  return { id, type: 'function', function: { name, arguments: json } }
}
