export type JsonObject = Record<string, unknown>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

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

export function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** The object without its undefined members, so that what is absent stays absent on the wire. */
export function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> } // just filtered
}

/** Whether a text is the JSON of an object, as the arguments of a tool call must be. */
export function isObjectText(text: string): boolean {
  try {
    return isObject(JSON.parse(text))
  } catch {
    return false // not JSON at all, and so no object either
  }
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

export function isNoArguments(text: string): boolean {
  const trimmed = text.length <= 16 ? text.trim() : text
  return trimmed === '' || trimmed === 'null'
}
