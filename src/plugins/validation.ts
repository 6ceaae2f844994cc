import { createRequire } from 'node:module'
import { Kind, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, type ValueError } from '@sinclair/typebox/compiler'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { FastifySerializerCompiler } from 'fastify/types/schema.js'
import fp from 'fastify-plugin'
import { isObject } from '../lib/json/read.ts'
import { badRequest, type RouterError } from '../sdk/errors.ts'

/**
 * Placeholder until the plugin below is registered. Without it, Fastify would load its own compilers: a hundred modules
 * that few routes need.
 */
export const noCompilers = {
  buildValidator: () => () => neverAsked(),
  buildSerializer: () => () => neverAsked(),
}

function neverAsked(): never {
  throw new Error('a route was registered before the validation plugin')
}

/**
 * Compiles the schemas of routes. A body with a TypeBox schema is accepted unchanged or rejected with the path and the
 * expected type. All other schemas (bodies in plain JSON Schema, query strings, path parameters, headers, responses) go
 * to Fastify's own compilers, which coerce, apply defaults and remove; they are loaded on first use.
 */
export default fp(
  (app, _options, done) => {
    const fastifys = fastifysCompilers(app)
    app.setValidatorCompiler((route) =>
      route.httpPart === 'body' && isTypeBox(route.schema)
        ? typeBoxCheck(route.schema)
        : fastifys.validator(route),
    )
    app.setSerializerCompiler((route) => fastifys.serializer(route))
    done()
  },
  { name: 'validation' },
)

/** Includes the app's shared schemas (`addSchema`), which are complete when routes are compiled. */
function fastifysCompilers(app: FastifyInstance): {
  validator: FastifySchemaCompiler<unknown>
  serializer: FastifySerializerCompiler<unknown>
} {
  const load = createRequire(import.meta.url)
  const shared = () => app.getSchemas() as Record<string, object> // `addSchema` accepts nothing else
  let validator: ReturnType<ReturnType<typeof import('@fastify/ajv-compiler')>> | undefined
  let serializer: ReturnType<ReturnType<typeof import('@fastify/fast-json-stringify-compiler')>> | undefined
  return {
    validator(route) {
      const factory: typeof import('@fastify/ajv-compiler') = load('@fastify/ajv-compiler')
      validator ??= factory()(shared(), { customOptions: {} })
      return validator(route)
    },
    serializer(route) {
      const factory: typeof import('@fastify/fast-json-stringify-compiler') = load(
        '@fastify/fast-json-stringify-compiler',
      )
      serializer ??= factory()(shared())
      return serializer({ ...route, httpStatus: route.httpStatus ?? 'default' })
    },
  }
}

function isTypeBox(schema: unknown): schema is TSchema {
  return isObject(schema) && Kind in schema
}

function typeBoxCheck(schema: TSchema) {
  let compiled: TypeCheck<TSchema> | undefined
  return (value: unknown) => {
    // Compiled on the first request: most routes never get one, and compiling all of them would delay the start.
    compiled ??= TypeCompiler.Compile(schema)
    if (compiled.Check(value)) return { value }
    const error = compiled.Errors(value).First()
    return { error: error ? describe(error) : badRequest('The request is not valid') }
  }
}

/** Converts an error of Fastify's own validator to the router's format; undefined for any other error. */
export function validationError(thrown: unknown): RouterError | undefined {
  if (!isObject(thrown) || !Array.isArray(thrown.validation)) return undefined
  const [first]: unknown[] = thrown.validation
  if (!isObject(first)) return undefined
  const { instancePath, keyword, message, params } = first
  const path = pathOf(String(instancePath ?? ''))
  const missing = keyword === 'required' && isObject(params) ? params.missingProperty : undefined
  if (typeof missing === 'string') {
    const whole = path === '' ? missing : `${path}.${missing}`
    return badRequest(`'${whole}' is required`, whole, 'missing_required_parameter')
  }
  if (path === '') return badRequest(`The ${String(thrown.validationContext)} ${String(message)}`)
  return badRequest(`'${path}' ${String(message)}`, path, 'invalid_value')
}

function describe(error: ValueError): Error {
  const deepest = deepestOf(error)
  const path = pathOf(deepest.path)
  const wanted = wantedBy(deepest.schema)
  if (path === '') return badRequest('The body must be a JSON object')
  if (deepest.value === undefined)
    return badRequest(`'${path}' is required: ${wanted}`, path, 'missing_required_parameter')
  return badRequest(`'${path}' must be ${wanted}`, path, 'invalid_value')
}

/** For a union, the branch that matched furthest is most likely the intended one. */
function deepestOf(error: ValueError): ValueError {
  let best = error
  for (const branch of error.errors) {
    const first = branch.First()
    if (!first) continue
    const candidate = deepestOf(first)
    if (candidate.path.length > best.path.length) best = candidate
  }
  return best
}

/** Converts the JSON pointer `/messages/0/content` to `messages[0].content`. */
function pathOf(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce(
      (path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`),
      '',
    )
}

function wantedBy(schema: TSchema): string {
  if (typeof schema.errorMessage === 'string') return schema.errorMessage
  if (schema[Kind] === 'Union' && Array.isArray(schema.anyOf)) {
    const wanted = new Set(schema.anyOf.map((branch: TSchema) => wantedBy(branch)))
    return [...wanted].join(' or ')
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  const names: Record<string, string> = {
    string: schema.minLength ? 'a non-empty string' : 'a string',
    boolean: 'true or false',
    null: 'null',
    object: 'an object',
    array: schema.minItems ? 'a non-empty list' : 'a list',
    integer: `an integer${rangeOf(schema)}`,
    number: `a number${rangeOf(schema)}`,
  }
  return names[String(schema.type)] ?? 'of another kind'
}

function rangeOf(schema: TSchema): string {
  const { minimum, maximum } = schema
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  if (minimum !== undefined) return ` of at least ${minimum}`
  return maximum === undefined ? '' : ` of at most ${maximum}`
}
