import { filledTextOf, isObject } from '../../../lib/json/read.ts'

/**
 * The choice among tools in OpenAI's own form, where a client means it and writes it as another API does: a word as an object
 * (Cursor: `{"type": "auto"}`), Anthropic's and Mistral's `any`, a name beside the type as in the Responses API or Anthropic's
 * `tool`. Anything else stays as it is.
 */
export function plainChoice(choice: unknown): unknown {
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
