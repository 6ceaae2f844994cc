import { filledTextOf, isObject, type JsonObject, textOf } from '../../lib/json/read.ts'
import { argumentText } from '../shared/tool-arguments.ts'

/** What a tool call, or one fragment of it, says. */
export interface Called {
  /** Empty where it has not been told. */
  name: string
  /** Of a function: its arguments, or the next piece of them. */
  json: string
  /** Of a custom tool: its free text, or the next piece of it; undefined for a function. */
  input: string | undefined
}

/** Source: OpenAI API reference, "The chat completion object", `tool_calls`. Other types of calls have no name here. */
export function calledIn(call: JsonObject): Called {
  const custom = isObject(call.custom) ? call.custom : undefined
  const called = custom ?? (isObject(call.function) ? call.function : {})
  return {
    name: filledTextOf(called.name) ?? '',
    json: custom ? '' : argumentText(called.arguments),
    input: custom && (textOf(custom.input) ?? ''),
  }
}
