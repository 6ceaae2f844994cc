import { isObject, parseArguments } from '../../lib/json/read.ts'

/**
 * The JSON text of a tool's input, which this dialect has as an object and some proxies as a text. Undefined for what
 * is no object.
 */
export function inputText(input: unknown): string | undefined {
  if (input === undefined || input === null) return '{}'
  if (typeof input === 'string') {
    const parsed = parseArguments(input)
    return parsed && (Object.keys(parsed).length === 0 ? '{}' : input)
  }
  if (!isObject(input)) return undefined
  try {
    return JSON.stringify(input)
  } catch {
    return undefined // nested too deep to be written
  }
}
