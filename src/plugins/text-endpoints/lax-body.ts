import { Kind, type TObject, type TSchema } from '@sinclair/typebox'
import { readBoolean } from '../../config/settings/text.ts'

export interface LaxOptions {
  /** Whether the body is a form, where a single string cannot be distinguished from a list of one. */
  form: boolean
}

/**
 * Converts strings to numbers, booleans and (in forms) lists where the schema expects them: `"0.3"` to 0.3, `"12"` to
 * 12, `"true"` to true. Other values are left for the schema to reject.
 */
export function laxBody(
  schema: TObject,
  body: Readonly<Record<string, unknown>>,
  { form }: LaxOptions,
): Record<string, unknown> {
  const entries = Object.entries(body).map(([name, value]) => {
    const field = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    return [name, field === undefined ? value : lax(wantedBy(field), value, form)]
  })
  return Object.fromEntries(entries)
}

function lax(wanted: ReadonlySet<string>, value: unknown, form: boolean): unknown {
  if (typeof value !== 'string' || wanted.has('string')) return value
  if (wanted.has('number') || wanted.has('integer')) return numberIn(value) ?? value
  if (wanted.has('boolean')) return readBoolean(value) ?? value
  return form && wanted.has('array') ? [value] : value
}

/** The JSON types that a schema accepts, including those of its unions. */
function wantedBy(schema: TSchema): ReadonlySet<string> {
  if (schema[Kind] === 'Union' && Array.isArray(schema.anyOf)) {
    return new Set(schema.anyOf.flatMap((branch: TSchema) => [...wantedBy(branch)]))
  }
  return new Set([String(schema.type)])
}

function numberIn(text: string): number | undefined {
  if (!/^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/.test(text)) return undefined
  return Number(text)
}
