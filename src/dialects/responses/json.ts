export type JsonObject = Record<string, unknown>

/** The text itself; undefined for anything that is no string. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The same, where an empty text says no more than a missing one. */
export function filledTextOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

export function booleanOf(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** The object without its undefined members, so that what is absent stays absent on the wire. */
export function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> } // just filtered
}

/** The object that a text is the JSON of; undefined for anything else. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined // not JSON at all, and so no object either
  }
}

/**
 * The arguments of a call as JSON text of an object; undefined for what is none. "None" is said as an empty text, as
 * `null` or not at all.
 */
export function argumentText(value: unknown): string | undefined {
  if (value === undefined || value === null) return '{}'
  if (typeof value !== 'string') return undefined
  const short = value.length <= 16 ? value.trim() : value
  if (short === '' || short === 'null') return '{}'
  return parseObject(value) ? value : undefined
}
