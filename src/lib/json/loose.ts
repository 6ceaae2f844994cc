import { KindGuard, type TSchema } from '@sinclair/typebox'
import { isObject } from './read.ts'

/**
 * Converts loosely typed values, as in config files of the Python llm-router, to the types of the schema: `null` members are
 * removed, numbers may be strings ("0.5"), booleans may be "true", "false", 1 or 0. Other values and members unknown to the
 * schema are unchanged, for the schema to reject.
 */
export function coerced(schema: TSchema, value: unknown): unknown {
  if (KindGuard.IsObject(schema)) return coercedMembers(value, (key) => schema.properties[key])
  if (KindGuard.IsRecord(schema)) {
    const inner = Object.values(schema.patternProperties)[0]
    return coercedMembers(value, () => inner)
  }
  if (KindGuard.IsArray(schema))
    return Array.isArray(value) ? value.map((item) => coerced(schema.items, item)) : value
  if (KindGuard.IsUnion(schema)) {
    const object = schema.anyOf.find(KindGuard.IsObject)
    return object ? coerced(object, value) : value
  }
  if (KindGuard.IsNumber(schema) || KindGuard.IsInteger(schema)) return numberOf(value)
  if (KindGuard.IsBoolean(schema)) return booleanOf(value)
  return value
}

/** Converts a numeric string to a number; other values are unchanged. */
export function numberOf(value: unknown): unknown {
  return typeof value === 'string' && new RegExp(numberPattern).test(value) ? Number(value) : value
}

/** Returns the JSON Schema (draft 7) that accepts everything {@link coerced} converts, for editors. */
export function looseJsonSchema(schema: TSchema): Record<string, unknown> {
  const plain: unknown = JSON.parse(JSON.stringify(schema))
  const loose = loosened(plain)
  return isObject(loose) ? loose : {}
}

const numberPattern = '^\\s*[+-]?(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][+-]?\\d+)?\\s*$'

function coercedMembers(value: unknown, schemaOf: (key: string) => TSchema | undefined): unknown {
  if (!isObject(value)) return value
  const members = Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
    const schema = schemaOf(key)
    if (!schema) return [[key, member]]
    return member === null ? [] : [[key, coerced(schema, member)]]
  })
  return Object.fromEntries(members)
}

function booleanOf(value: unknown): unknown {
  if (value === 1 || value === 0) return value === 1
  if (typeof value !== 'string') return value
  const word = value.trim().toLowerCase()
  return word === 'true' || word === 'false' ? word === 'true' : value
}

/** As in {@link coerced}, only objects within a union are converted. */
function loosened(node: unknown): unknown {
  if (!isObject(node)) return node
  const { allowed: _description, ...schema } = node
  for (const key of ['items', 'additionalProperties']) {
    if (key in schema) schema[key] = loosened(schema[key])
  }
  if (Array.isArray(schema.anyOf))
    schema.anyOf = schema.anyOf.map((one: unknown) =>
      isObject(one) && one.type === 'object' ? loosened(one) : one,
    )
  if (isObject(schema.patternProperties))
    schema.patternProperties = mapped(schema.patternProperties, loosened)
  if (isObject(schema.properties)) {
    const required = Array.isArray(schema.required) ? schema.required : []
    schema.properties = mapped(schema.properties, (property, key) =>
      required.includes(key) ? loosened(property) : orNull(loosened(property)),
    )
  }
  switch (schema.type) {
    case 'number':
    case 'integer':
      return { ...schema, type: [schema.type, 'string'], pattern: numberPattern }
    case 'boolean': {
      const { type: _type, ...rest } = schema
      return { ...rest, enum: [true, false, 'true', 'false', 1, 0] }
    }
    default:
      return schema
  }
}

function orNull(schema: unknown): unknown {
  if (!isObject(schema)) return schema
  if (Array.isArray(schema.anyOf)) return { ...schema, anyOf: [...schema.anyOf, { type: 'null' }] }
  if (Array.isArray(schema.enum)) return { ...schema, enum: [...schema.enum, null] }
  return schema.type === undefined ? schema : { ...schema, type: [schema.type, 'null'].flat() }
}

function mapped(
  members: Record<string, unknown>,
  change: (value: unknown, key: string) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).map(([key, value]) => [key, change(value, key)]))
}
