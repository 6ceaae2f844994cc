import { KindGuard, type TSchema } from '@sinclair/typebox'

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
