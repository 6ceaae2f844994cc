import { isObject, type JsonObject } from '../../../lib/json/read.ts'
import { camelCase, memberOf, snakeCase } from '../members.ts'

/** Deeper than any schema in a body that the router accepts. */
const maxDepth = 128

/**
 * Gemini's own `Schema`, a subset of OpenAPI 3.0, as JSON Schema: types in lower case, `nullable` as a type, numeric strings
 * as numbers. Source: Gemini API reference, "Schema".
 */
function toJsonSchema(schema: JsonObject, depth = maxDepth): JsonObject {
  const written: JsonObject = {}
  for (const [name, value] of Object.entries(schema)) {
    const converted = convertMember(name, value, depth)
    if (converted) written[converted[0]] = converted[1]
  }
  const { type } = written
  if (schema.nullable === true && typeof type === 'string') written.type = [type, 'null']
  if (schema.nullable === true && Array.isArray(written.enum)) written.enum = [...written.enum, null]
  return written
}

function convertMember(name: string, value: unknown, depth: number): [string, unknown] | undefined {
  const inner = (schema: unknown): unknown =>
    isObject(schema) && depth > 0 ? toJsonSchema(schema, depth - 1) : schema
  switch (name) {
    case 'type':
      if (value === 'TYPE_UNSPECIFIED') return undefined
      return [name, typeof value === 'string' ? value.toLowerCase() : value]
    case 'nullable':
    case 'propertyOrdering':
    case 'property_ordering':
    case 'example':
      return undefined
    case 'properties':
    case '$defs':
      return [
        name,
        isObject(value)
          ? Object.fromEntries(Object.entries(value).map(([key, property]) => [key, inner(property)]))
          : value,
      ]
    case 'items':
    case 'additionalProperties':
      return [name, inner(value)]
    case 'anyOf':
    case 'any_of':
      return ['anyOf', Array.isArray(value) ? value.map(inner) : value]
    case 'format':
      // `enum` is Gemini's own format; the others are those of OpenAPI.
      return value === 'enum' ? undefined : [name, value]
    default:
      return [camelCase(name), counts.has(name) && typeof value === 'string' ? Number(value) : value]
  }
}

/** Members that Google's JSON writes as numeric strings (int64). */
const counts = new Set(
  ['minItems', 'maxItems', 'minLength', 'maxLength', 'minProperties', 'maxProperties'].flatMap((name) => [
    name,
    snakeCase(name),
  ]),
)

/** A schema under one of two names: Gemini's own format, or plain JSON Schema. */
export function readSchema(
  object: JsonObject,
  geminiName: string,
  jsonSchemaName: string,
): JsonObject | undefined {
  const json = memberOf(object, jsonSchemaName)
  if (isObject(json)) return json
  const schema = memberOf(object, geminiName)
  return isObject(schema) ? toJsonSchema(schema) : undefined
}
