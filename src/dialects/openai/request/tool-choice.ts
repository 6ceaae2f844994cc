import { filledTextOf, isObject } from '../../../lib/json/read.ts'

/**
 * A `tool_choice` in OpenAI's own form, if a client sends that of another API: a string as an object (Cursor:
 * `{"type": "auto"}`), `any` of Anthropic and Mistral, or a name beside the type, as in the Responses API and in Anthropic's
 * `tool`. Anything else is returned unchanged.
 */
export function normalizedChoice(choice: unknown): unknown {
  if (choice === 'any') return 'required'
  if (!isObject(choice)) return choice
  const name = filledTextOf(choice.name)
  switch (choice.type) {
    case 'none':
    case 'auto':
    case 'required':
      return choice.type
    case 'any':
      return 'required'
    case 'tool':
      return name === undefined ? choice : { type: 'function', function: { name } }
    case 'function':
    case undefined:
      if (isObject(choice.function)) return { type: 'function', function: choice.function }
      return name === undefined ? choice : { type: 'function', function: { name } }
    case 'custom':
      return name === undefined || isObject(choice.custom) ? choice : { type: 'custom', custom: { name } }
    default:
      return choice
  }
}
