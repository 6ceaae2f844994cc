import { KindGuard, type TSchema } from '@sinclair/typebox'
import type { ValueError } from '@sinclair/typebox/value'
import { isObject } from './read.ts'

/** Maximum length of a value in an error message, in characters. */
const maxShownLength = 80

/** Describes a value that is not allowed, to precede "is not": a value without members is quoted, unless it is a secret. */
export function shownValue(value: unknown, isSecret = false): string {
  if (Array.isArray(value)) return 'a list'
  if (isObject(value)) return 'an object'
  if (isSecret) return 'the value'
  const isLong = typeof value === 'string' && value.length > maxShownLength
  return JSON.stringify(isLong ? `${value.slice(0, maxShownLength)}...` : value)
}

/** Describes an error in a configuration, without its path: `"x" is not a number`. Values of `writeOnly` schemas are secrets. */
export function schemaError({ value, schema }: Pick<ValueError, 'value' | 'schema'>): string {
  if (value === undefined) return `missing; it must be ${allowedBy(schema)}`
  return `${shownValue(value, schema.writeOnly === true)} is not ${allowedBy(schema)}`
}

/**
 * Describes the values that a schema allows, to follow "is not": `an integer from 0 to 65535`. The schema option `allowed`
 * overrides the description.
 */
export function allowedBy(schema: TSchema): string {
  if (typeof schema.allowed === 'string') return schema.allowed
  if (KindGuard.IsUnion(schema)) return allowedByUnion(schema.anyOf)
  if (KindGuard.IsLiteral(schema)) return JSON.stringify(schema.const)
  if (KindGuard.IsInteger(schema)) return `an integer${range(schema)}`
  if (KindGuard.IsNumber(schema)) return `a number${range(schema)}`
  if (KindGuard.IsString(schema)) return 'a string'
  if (KindGuard.IsBoolean(schema)) return 'true or false'
  if (KindGuard.IsArray(schema)) return 'a list'
  if (KindGuard.IsObject(schema) || KindGuard.IsRecord(schema)) return 'an object'
  return 'a value of that kind'
}

function allowedByUnion(options: TSchema[]): string {
  const literals = options.filter(KindGuard.IsLiteral)
  if (literals.length === options.length) return `one of: ${literals.map((one) => one.const).join(', ')}`
  return options.map(allowedBy).join(' or ')
}

interface Bounds {
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
}

function range({ minimum, exclusiveMinimum, maximum }: Bounds): string {
  const isBounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
  if (minimum !== undefined && isBounded) return ` from ${minimum} to ${maximum}`
  if (minimum !== undefined) return ` of ${minimum} or more`
  return exclusiveMinimum === undefined ? '' : ` over ${exclusiveMinimum}`
}
