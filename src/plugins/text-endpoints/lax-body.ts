import { Kind, type TObject, type TSchema } from '@sinclair/typebox'
import { readBoolean } from '../../config/settings-text.ts'

export interface LaxOptions {
  /** Whether the body came as a form, where a list of one cannot be told from a single text. */
  form: boolean
}

/**
 * The body with the texts of numbers, booleans and (in forms) lists turned into these, where the schema wants them:
 * `"0.3"` is 0.3, `"12"` is 12, `"true"` is true. What does not read as one stays, for the schema to refuse.
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

/** The JSON types of a schema, through its unions. */
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
