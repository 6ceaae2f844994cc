import { parseObject } from '../../lib/json/read.ts'

/** Whether a text is the JSON of an object, as the arguments of a tool call must be. */
export function isObjectText(text: string): boolean {
  return parseObject(text) !== undefined
}
