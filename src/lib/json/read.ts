/*
 * Readers of untrusted parsed JSON: servers and clients omit members, send `null`, or other types than the
 * format specifies. Each returns the value if it has the expected type, otherwise undefined.
 */

export type JsonObject = Record<string, unknown>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The same, treating an empty string as missing. */
export function filledTextOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** JSON may contain 1e999, which parses to Infinity. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** A count, such as of tokens: some servers send negative ones, and JSON may contain 1e999. */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined
}

export function booleanOf(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}

/** The objects in a list; empty if it is not a list. */
export function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** The object without undefined members. */
export function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {}
  for (const name in members) {
    const value = members[name]
    if (value !== undefined) kept[name] = value as Exclude<T[typeof name], undefined>
  }
  return kept
}

/** Parses JSON; undefined if invalid. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the caller knows what that means
  }
}

/** The object that a text is the JSON of; undefined for anything else. */
export function parseObject(text: string): JsonObject | undefined {
  const value = parseJson(text)
  return isObject(value) ? value : undefined
}

/** Whether a tool call has no arguments, which clients and models also express as an empty string or `null`. */
export function isNoArguments(text: string): boolean {
  const trimmed = text.length <= 16 ? text.trim() : text
  return trimmed === '' || trimmed === 'null'
}

/** The arguments of a whole call, including all forms of "none"; undefined if they are not an object. */
export function parseArguments(text: string): JsonObject | undefined {
  const trimmed = text.trim()
  return trimmed === '' || trimmed === 'null' ? {} : parseObject(trimmed)
}
