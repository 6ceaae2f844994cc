import { isObject, objectsIn, textOf } from '../../../lib/json/read.ts'
import type { ToolDefinition } from '../../../sdk/chat.ts'
import { argumentObject } from './tool-arguments.ts'

/*
 * OpenAI's custom tools accept free text. In other dialects they are functions with one argument, `input`, and the calls are
 * converted back in the response.
 */

/** `grammar`: an object with `syntax` and `definition`. No server enforces it, so it is added to the description. */
export function customToolAsFunction(
  name: string,
  description: string | undefined,
  grammar: unknown,
): ToolDefinition {
  const definition = isObject(grammar) ? textOf(grammar.definition) : undefined
  const syntax = isObject(grammar) ? (textOf(grammar.syntax) ?? '') : ''
  const instruction = definition && `The input must follow this ${syntax} grammar:\n${definition}`
  const fullDescription = [description, instruction].filter(Boolean).join('\n\n')
  return {
    name,
    ...(fullDescription === '' ? {} : { description: fullDescription }),
    parameters: {
      type: 'object',
      properties: { input: { type: 'string' } },
      required: ['input'],
      additionalProperties: false,
    },
  }
}

/** Names of the custom tools in a chat completions body. */
export function customNames(tools: unknown): ReadonlySet<string> {
  const custom = objectsIn(tools).filter((tool) => tool.type === 'custom')
  return new Set(custom.map((tool) => textOf((isObject(tool.custom) ? tool.custom : tool).name) ?? ''))
}

/** The free text in the arguments of a custom tool's call, which may be truncated. */
export function customText(json: string): string {
  return textOf(argumentObject(json).input) ?? json
}
