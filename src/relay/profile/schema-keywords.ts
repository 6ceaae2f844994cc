import { isObject, type JsonObject } from '../../lib/json/read.ts'

/** Values of otherwise rejected keywords that servers accept. */
const acceptedValues: Readonly<Record<string, readonly unknown[]>> = {
  minItems: [0, 1],
  additionalProperties: [false],
  format: ['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid'],
}

/** The same, for the top level of a schema only. */
export function withoutRootKeywords(schema: JsonObject, refused: readonly string[]): JsonObject {
  const removed = Object.entries(schema).filter(([name]) => refused.includes(name))
  if (removed.length === 0) return schema
  const remaining = Object.entries(schema).filter(([name]) => !refused.includes(name))
  return described(
    Object.fromEntries(remaining),
    removed.map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
  )
}

function described(schema: JsonObject, removed: readonly string[]): JsonObject {
  const { description } = schema
  const words = `{${removed.join(', ')}}`
  return { ...schema, description: typeof description === 'string' ? `${description}\n${words}` : words }
}

/** Keywords whose value is a schema or a list of them; below, those whose members are. */
const holdsSchemas: ReadonlySet<string> = new Set([
  'items',
  'prefixItems',
  'anyOf',
  'oneOf',
  'allOf',
  'not',
  'additionalProperties',
  'if',
  'then',
  'else',
  'contains',
  'propertyNames',
])
const namesSchemas: ReadonlySet<string> = new Set(['properties', '$defs', 'definitions', 'patternProperties'])

/**
 * A JSON Schema without the keywords that a server rejects. They are added to the description of the same schema, where the
 * model can read them. Returns the same object if there are none.
 */
export function withoutKeywords(schema: unknown, refused: ReadonlySet<string>): unknown {
  if (Array.isArray(schema))
    return unchangedOr(
      schema,
      schema.map((each) => withoutKeywords(each, refused)),
    )
  if (!isObject(schema)) return schema
  const removed: string[] = []
  const remaining: JsonObject = {}
  let isChanged = false
  for (const [name, value] of Object.entries(schema)) {
    if (refused.has(name) && !acceptedValues[name]?.includes(value)) {
      isChanged = true
      // The closest accepted keyword; it only loses that exactly one alternative applies.
      if (name === 'oneOf' && Array.isArray(value) && schema.anyOf === undefined)
        remaining.anyOf = withoutKeywords(value, refused)
      else removed.push(`${name}: ${JSON.stringify(value)}`)
      continue
    }
    remaining[name] = insideOf(name, value, refused)
    isChanged ||= remaining[name] !== value
  }
  if (!isChanged) return schema
  return removed.length === 0 ? remaining : described(remaining, removed)
}

function insideOf(name: string, value: unknown, refused: ReadonlySet<string>): unknown {
  if (holdsSchemas.has(name)) return withoutKeywords(value, refused)
  if (!namesSchemas.has(name) || !isObject(value)) return value
  const members = Object.entries(value).map(([key, each]) => [key, withoutKeywords(each, refused)])
  const mapped: JsonObject = Object.fromEntries(members)
  return Object.keys(value).every((key) => mapped[key] === value[key]) ? value : mapped
}

function unchangedOr(list: readonly unknown[], mapped: readonly unknown[]): readonly unknown[] {
  return mapped.every((each, index) => each === list[index]) ? list : mapped
}
