import { isNoArguments, parseObject } from '../../core/json-read.ts'

/** Whether a text is the JSON of an object, as the arguments of a tool call must be. */
export function isObjectText(text: string): boolean {
  return parseObject(text) !== undefined
}

/**
 * The arguments of a tool call as text: servers give an object where the format wants its JSON, and clients and servers
 * say "none" as an empty text, as `null` or not at all. Whether the text holds an object is for the caller to check.
 */
export function argumentText(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  try {
    return JSON.stringify(value)
  } catch {
    return '[' // nested too deep to be written: no object for any reader
  }
}

/** The same for a whole call: no arguments become an empty object. */
export function wholeArgumentText(value: unknown): string {
  const text = argumentText(value)
  return isNoArguments(text) ? '{}' : text
}
