import { isObject, type JsonObject, parseObject } from '../../lib/json/read.ts'
import type { ResponseFormat } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'

/*
 * Constraints on the text of a response that engines have beside `response_format`. Sources: vLLM documentation, "Structured
 * Outputs" (`guided_*` before 0.12); SGLang documentation, "Sampling Parameters"; llama.cpp, `tools/server/README.md`.
 */
const constraints: ReadonlySet<string> = new Set([
  'structured_outputs',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'json_schema',
  'regex',
  'ebnf',
  'grammar',
])

/** The constraint to JSON among the extras of a request, and the other extras. */
export function readJsonConstraint(extras: JsonObject): { format?: ResponseFormat; others: JsonObject } {
  for (const [name, value] of Object.entries(extras)) {
    const format = jsonFormat(name, value)
    if (!format) continue
    const { [name]: _read, ...others } = extras
    return { format, others }
  }
  return { others: extras }
}

function jsonFormat(name: string, value: unknown): ResponseFormat | undefined {
  if (name === 'structured_outputs') {
    if (!isObject(value)) return undefined
    return value.json_object === true ? { type: 'json' } : jsonFormat('guided_json', value.json)
  }
  if (name !== 'guided_json' && name !== 'json_schema') return undefined
  const schema = typeof value === 'string' ? parseObject(value) : value
  return isObject(schema) && Object.keys(schema).length > 0 ? { type: 'schema', schema } : undefined
}

/** The schema for a constraint to some choices; undefined for any other member. */
export function choiceSchema(name: string, value: unknown): JsonObject | undefined {
  const choices = name === 'structured_outputs' && isObject(value) ? value.choice : value
  const isChoice = name === 'structured_outputs' || name === 'guided_choice'
  return isChoice && Array.isArray(choices) && choices.length > 0 ? { enum: choices } : undefined
}

/** Throws `bad_request` for a constraint, because a response without it is not what was asked for. */
export function rejectConstraint(name: string, value: unknown): void {
  if (constraints.has(name) && !isEmpty(value))
    throw badRequest(`The upstream of this model does not support '${name}'`, name)
}

/** vLLM's Python classes are sent with null for what is not set. */
function isEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value === '' || value === null
  return Object.values(value).every((member) => member === null || member === false)
}
