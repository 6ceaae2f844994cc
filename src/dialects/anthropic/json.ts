export type JsonObject = Record<string, unknown>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The text, where an empty one says no more than none. */
export function filledTextOf(value: unknown): string | undefined {
  return value === '' ? undefined : textOf(value)
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

/** The object without its undefined members, so that what is absent stays absent on the wire. */
export function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> } // just filtered
}

/** The input of a tool from its JSON text; models and clients say "none" as an empty text or `null` too. */
export function parseInput(text: string): JsonObject | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed === 'null') return {}
  try {
    const value: unknown = JSON.parse(trimmed)
    return isObject(value) ? value : undefined
  } catch {
    return undefined // no JSON, and so no object either
  }
}

/**
 * The JSON text of a tool's input, which this dialect has as an object and some proxies as a text. Undefined for what
 * is no object.
 */
export function inputText(input: unknown): string | undefined {
  if (input === undefined || input === null) return '{}'
  if (typeof input === 'string') {
    const parsed = parseInput(input)
    return parsed && (Object.keys(parsed).length === 0 ? '{}' : input)
  }
  if (!isObject(input)) return undefined
  try {
    return JSON.stringify(input)
  } catch {
    return undefined // nested too deep to be written
  }
}
