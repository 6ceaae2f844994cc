import { Kind, type TProperties, type TSchema } from '@sinclair/typebox'
import { isObject } from '../../lib/json/read.ts'
import type { EachTextEndpoint, OneTextEndpoint, TextEndpoint } from '../text-endpoint.ts'
import { type Members, memberErrors } from './members.ts'

const shared = {
  name: 'string',
  summary: 'string',
  fields: 'object',
  requiredUnless: 'object?',
  defaults: 'object?',
  example: 'object?',
  system: 'function',
} as const

const one: Members<OneTextEndpoint<TProperties, TSchema>> = {
  ...shared,
  response: 'object',
  text: 'function',
  history: 'function?',
  answer: 'function',
}

const each: Members<EachTextEndpoint<TProperties, TSchema>> = {
  ...shared,
  item: 'object',
  texts: 'function',
  result: 'function',
}

export function textEndpointErrors(endpoint: TextEndpoint): string[] {
  const errors = memberErrors(endpoint, isObject(endpoint) && 'texts' in endpoint ? each : one)
  if (errors.length > 0) return errors
  return Object.entries(endpoint.fields).flatMap(([name, schema]) =>
    isObject(schema) && Kind in schema
      ? []
      : [`'fields.${name}' must be a TypeBox schema, such as Type.String()`],
  )
}
