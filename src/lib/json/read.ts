/*
 * Readers of parsed JSON that may be anything: servers and clients leave members out, send `null`, or another type than the
 * format says. Each gives the value where it is of its kind, else undefined.
 */

export type JsonObject = Record<string, unknown>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The same, where an empty text says no more than a missing one. */
export function filledTextOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** JSON can say 1e999, which becomes a number that JSON cannot say. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** A number of tokens or the like: servers have sent negative ones, and JSON can say 1e999. */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined
}

export function booleanOf(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}

/** The objects of a list; none for what is no list. */
export function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** The object without its undefined members, so that what is absent stays absent on the wire. */
export function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {}
  for (const name in members) {
    const value = members[name]
    if (value !== undefined) kept[name] = value as Exclude<T[typeof name], undefined>
  }
  return kept
}

/** The value that a text is the JSON of; undefined for what is no JSON. */
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

/** Whether the arguments of a tool call say "none": clients and models do so by an empty text or by `null` too. */
export function isNoArguments(text: string): boolean {
  const trimmed = text.length <= 16 ? text.trim() : text
  return trimmed === '' || trimmed === 'null'
}

/** The arguments of a whole call, however "none" was said; undefined for what is no object. */
export function parseArguments(text: string): JsonObject | undefined {
  const trimmed = text.trim()
  return trimmed === '' || trimmed === 'null' ? {} : parseObject(trimmed)
}
