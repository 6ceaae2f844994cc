import { createRequire } from 'node:module'
import { Kind, type TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { FastifySerializerCompiler, FastifyValidationResult } from 'fastify/types/schema.js'
import fp from 'fastify-plugin'
import { isObject } from '../lib/json/read.ts'
import { bodyCheck, fieldAt } from '../sdk/checks/body.ts'
import { badRequest, type RouterError } from '../sdk/errors.ts'

interface SchemaError {
  /** Method and path. */
  route: string
  problem: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Schemas that could not be compiled, complete when all plugins are loaded. */
    readonly schemaErrors: SchemaError[]
  }
}

/**
 * Placeholder until the plugin below is registered. Without it, Fastify would load its own compilers: a hundred modules
 * that few routes need.
 */
export const noCompilers = {
  buildValidator: () => () => notRegistered(),
  buildSerializer: () => () => notRegistered(),
}

function notRegistered(): never {
  throw new Error('a route was registered before the validation plugin')
}

/**
 * Compiles the schemas of routes. A body with a TypeBox schema is accepted unchanged or rejected with the path and the
 * expected type. All other schemas (bodies in plain JSON Schema, query strings, path parameters, headers, responses) go
 * to Fastify's own compilers, which coerce, apply defaults and remove; they are loaded on first use.
 *
 * TypeBox schemas are compiled when their route is first used, since most routes never are and compiling them all takes
 * half of the time of a start. Other schemas are compiled at once, so that an error in one stops the start.
 */
export default fp(
  (app, _options, done) => {
    app.decorate('schemaErrors', [])
    const fastifys = reporting(fastifysCompilers(app), app.schemaErrors)
    app.setValidatorCompiler((route) =>
      route.httpPart === 'body' && isTypeBox(route.schema)
        ? typeBoxCheck(route.schema)
        : isTypeBox(route.schema)
          ? compiledOnUse(() => fastifys.validator(route))
          : fastifys.validator(route),
    )
    app.setSerializerCompiler((route) => {
      if (!isTypeBox(route.schema)) return fastifys.serializer(route)
      let serialize: ReturnType<typeof fastifys.serializer> | undefined
      return (data) => {
        serialize ??= fastifys.serializer(route)
        return serialize(data)
      }
    })
    done()
  },
  { name: 'validation' },
)

interface Compilers {
  validator: FastifySchemaCompiler<unknown>
  serializer: FastifySerializerCompiler<unknown>
}

/** Fastify compiles where nothing can catch an exception, so errors are collected for the end of the start. */
function reporting({ validator, serializer }: Compilers, errors: SchemaError[]): Compilers {
  const report = ({ method, url }: { method?: string; url?: string }, what: string, error: unknown): void => {
    const problem = error instanceof Error ? error.message : String(error)
    errors.push({ route: `${method} ${url}`, problem: `invalid schema of the ${what}: ${problem}` })
  }
  return {
    validator(route) {
      try {
        return validator(route)
      } catch (error) {
        report(route, String(route.httpPart), error)
        return () => true
      }
    },
    serializer(route) {
      try {
        return serializer(route)
      } catch (error) {
        report(route, 'response', error)
        return () => ''
      }
    },
  }
}

/** Includes the app's shared schemas (`addSchema`), which are complete when routes are compiled. */
function fastifysCompilers(app: FastifyInstance): Compilers {
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

/** Fastify reads what failed from the function's `errors`. */
function compiledOnUse(compile: () => FastifyValidationResult): FastifyValidationResult {
  let compiled: FastifyValidationResult | undefined
  const check: FastifyValidationResult = (value) => {
    compiled ??= compile()
    const result = compiled(value)
    check.errors = compiled.errors ?? null
    return result
  }
  return check
}

function isTypeBox(schema: unknown): schema is TSchema {
  return isObject(schema) && Kind in schema
}

function typeBoxCheck(schema: TSchema) {
  const check = bodyCheck(schema)
  return (value: unknown) => {
    const error = check(value)
    return error ? { error } : { value }
  }
}

/** Converts an error of Fastify's own validator to the router's format; undefined for any other error. */
export function validationError(thrown: unknown): RouterError | undefined {
  if (!isObject(thrown) || !Array.isArray(thrown.validation)) return undefined
  const [first]: unknown[] = thrown.validation
  if (!isObject(first)) return undefined
  const { instancePath, keyword, message, params } = first
  const path = fieldAt(String(instancePath ?? ''))
  const missing = keyword === 'required' && isObject(params) ? params.missingProperty : undefined
  if (typeof missing === 'string') {
    const whole = path === '' ? missing : `${path}.${missing}`
    return badRequest(`'${whole}' is required`, whole, 'missing_required_parameter')
  }
  const allowed = keyword === 'enum' && isObject(params) ? params.allowedValues : undefined
  if (Array.isArray(allowed))
    return badRequest(`'${path}' must be one of: ${allowed.join(', ')}`, path, 'invalid_value')
  if (path === '') return badRequest(`The ${String(thrown.validationContext)} ${String(message)}`)
  return badRequest(`'${path}' ${String(message)}`, path, 'invalid_value')
}
