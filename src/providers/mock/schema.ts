import { pointerSteps } from '../../lib/json/pointer.ts'
import { isObject } from '../../lib/json/read.ts'

/** Limits for recursive schemas, beyond what others need. */
const maxDepth = 24
const maxValues = 2000

interface Walk {
  root: unknown
  valuesLeft: number
}

/**
 * Returns a small value that is valid under a JSON Schema (draft 2020-12), with only the required members of objects. Patterns,
 * conditions and `not` are ignored.
 */
export function exampleOf(schema: unknown): unknown {
  return example(schema, { root: schema, valuesLeft: maxValues }, 0)
}

function example(schema: unknown, walk: Walk, depth: number): unknown {
  if (!isObject(schema)) return {}
  if (depth > maxDepth || walk.valuesLeft-- <= 0) return null
  const inner = (value: unknown) => example(value, walk, depth + 1)
  if (typeof schema.$ref === 'string') return inner(resolve(schema.$ref, walk.root))
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  if ('default' in schema) return schema.default
  if (Array.isArray(schema.allOf)) return inner(merged(schema, walk.root))
  const options = schema.anyOf ?? schema.oneOf
  if (Array.isArray(options)) return inner(options.find((option) => !isNullType(option)) ?? options[0])
  switch (typeOf(schema)) {
    case 'string':
      return exampleString(schema)
    case 'number':
    case 'integer':
      return exampleNumber(schema)
    case 'boolean':
      return false
    case 'null':
      return null
    case 'array':
      return exampleArray(schema, inner)
    default:
      return exampleObject(schema, inner)
  }
}

function typeOf(schema: Record<string, unknown>): unknown {
  const { type } = schema
  if (Array.isArray(type)) return type.find((name) => name !== 'null') ?? 'null'
  if (type !== undefined) return type
  return schema.items !== undefined || schema.prefixItems !== undefined ? 'array' : 'object'
}

function isNullType(schema: unknown): boolean {
  return isObject(schema) && schema.type === 'null'
}

function exampleObject(
  schema: Record<string, unknown>,
  inner: (schema: unknown) => unknown,
): Record<string, unknown> {
  const properties = isObject(schema.properties) ? schema.properties : {}
  const required = Array.isArray(schema.required)
    ? schema.required.filter((key) => typeof key === 'string')
    : []
  return Object.fromEntries(required.map((key) => [key, inner(properties[key])]))
}

function exampleArray(schema: Record<string, unknown>, inner: (schema: unknown) => unknown): unknown[] {
  const first = Array.isArray(schema.prefixItems) ? schema.prefixItems.map(inner) : []
  const minItems = Math.min(numberOr(schema.minItems, 0), 16)
  const rest = Array.from({ length: Math.max(minItems - first.length, 0) }, () => inner(schema.items))
  return [...first, ...rest]
}

const stringOfFormat: Readonly<Record<string, string>> = {
  'date-time': '2026-01-01T00:00:00Z',
  date: '2026-01-01',
  time: '00:00:00Z',
  duration: 'PT0S',
  email: 'mock@example.com',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
}

function exampleString(schema: Record<string, unknown>): string {
  const formatted = typeof schema.format === 'string' ? stringOfFormat[schema.format] : undefined
  if (formatted !== undefined) return formatted
  const longEnough = 'mock'.padEnd(Math.min(numberOr(schema.minLength, 0), 1000), '.')
  return longEnough.slice(0, numberOr(schema.maxLength, longEnough.length))
}

function exampleNumber(schema: Record<string, unknown>): number {
  const min = Math.max(
    numberOr(schema.minimum, Number.NEGATIVE_INFINITY),
    numberOr(schema.exclusiveMinimum, Number.NEGATIVE_INFINITY) + 1,
  )
  const max = Math.min(
    numberOr(schema.maximum, Number.POSITIVE_INFINITY),
    numberOr(schema.exclusiveMaximum, Number.POSITIVE_INFINITY) - 1,
  )
  const nearZero = Math.min(Math.max(0, min), max)
  return typeOf(schema) === 'integer' ? Math.ceil(nearZero) : nearZero
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise
}

/** Merges `allOf` and its sibling keywords into one schema. */
function merged(schema: Record<string, unknown>, root: unknown): Record<string, unknown> {
  const { allOf, ...siblings } = schema
  const parts = [...(Array.isArray(allOf) ? allOf : []), siblings]
    .map((part) => (isObject(part) && typeof part.$ref === 'string' ? resolve(part.$ref, root) : part))
    .filter(isObject)
  return {
    ...Object.assign({}, ...parts),
    properties: Object.assign({}, ...parts.map((part) => part.properties)),
    required: [...new Set(parts.flatMap((part) => (Array.isArray(part.required) ? part.required : [])))],
  }
}

/** Resolves a reference within the schema (`#/$defs/Place`), RFC 6901; undefined if it does not exist. */
function resolve(reference: string, root: unknown): unknown {
  if (!reference.startsWith('#')) return undefined
  return pointerSteps(reference).reduce<unknown>(
    (at, key) => (isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined),
    root,
  )
}
