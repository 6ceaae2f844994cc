import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { ResponseFormat } from '../../sdk/chat.ts'
import type { Lose } from '../../sdk/dialect.ts'

export interface WrittenFormat {
  /** `output_config.format`. */
  format: JsonObject | undefined
  /** What to say in the system text instead. */
  instruction: string | undefined
}

/** Format: Anthropic API reference, "Structured outputs". It has schemas, and no mode for JSON of any form. */
export function writeFormat(format: ResponseFormat | undefined, lose: Lose): WrittenFormat {
  switch (format?.type) {
    case undefined:
    case 'text':
      return { format: undefined, instruction: undefined }
    case 'json':
      lose('response_format', 'Anthropic has no JSON mode; the model was asked for JSON in words')
      return {
        format: undefined,
        instruction: 'Answer with one valid JSON object and nothing else: no other text, no code fence.',
      }
    case 'schema':
      return { format: { type: 'json_schema', schema: closed(format.schema) }, instruction: undefined }
  }
}

/** Objects must say that they have no other members than the listed ones; where a schema says otherwise, it stays. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (!isObject(schema)) return schema
  const members = Object.entries(schema).map(([name, value]): [string, unknown] => {
    if (namesSchemas.has(name)) return [name, isObject(value) ? mapped(value) : value]
    return [name, holdsSchemas.has(name) ? closed(value) : value]
  })
  const open = schema.type === 'object' && schema.additionalProperties === undefined
  return { ...Object.fromEntries(members), ...(open ? { additionalProperties: false } : {}) }
}

function mapped(schemas: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(schemas).map(([name, value]) => [name, closed(value)]))
}

/** Keywords of JSON Schema whose value is a schema or a list of them; below, those whose members are. */
const holdsSchemas: ReadonlySet<string> = new Set(['items', 'prefixItems', 'anyOf', 'oneOf', 'allOf', 'not'])
const namesSchemas: ReadonlySet<string> = new Set(['properties', '$defs', 'definitions'])
