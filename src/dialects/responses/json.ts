import { isNoArguments, parseObject } from '../../lib/json/read.ts'

/**
 * The arguments of a call as JSON text of an object; undefined for what is none. "None" is said as an empty text, as
 * `null` or not at all.
 */
export function argumentText(value: unknown): string | undefined {
  if (value === undefined || value === null) return '{}'
  if (typeof value !== 'string') return undefined
  if (isNoArguments(value)) return '{}'
  return parseObject(value) ? value : undefined
}
