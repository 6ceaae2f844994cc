import { Kind, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, type ValueError } from '@sinclair/typebox/compiler'
import fp from 'fastify-plugin'
import { badRequest } from '../sdk/errors.ts'

/** For the time until the plugin below is there. Fastify would else load its own, a hundred modules that nothing asks for. */
export const noCompilers = {
  buildValidator: () => () => neverAsked(),
  buildSerializer: () => () => neverAsked(),
}

function neverAsked(): never {
  throw new Error('a route came before the validation')
}

/**
 * Compiled TypeBox checks in place of Fastify's Ajv, whose defaults change what they check: they coerce, strip and
 * fill in. Here a body is taken as it is or refused, with the place and what belongs there.
 */
export default fp(
  (app, _options, done) => {
    app.setValidatorCompiler<TSchema>(({ schema, method, url }) => {
      if (!schema[Kind]) throw new Error(`${method} ${url}: the schema is not one of TypeBox`)
      let compiled: TypeCheck<TSchema> | undefined
      return (value) => {
        // With the first request: most routes never get one, and all of them together would hold up the start.
        compiled ??= TypeCompiler.Compile(schema)
        if (compiled.Check(value)) return { value }
        const error = compiled.Errors(value).First()
        return { error: error ? describe(error) : badRequest('The request is not valid') }
      }
    })
    app.setSerializerCompiler(() => (value) => JSON.stringify(value))
    done()
  },
  { name: 'validation' },
)

function describe(error: ValueError): Error {
  const deepest = deepestOf(error)
  const path = pathOf(deepest.path)
  const wanted = wantedBy(deepest.schema)
  if (path === '') return badRequest('The body must be a JSON object')
  if (deepest.value === undefined)
    return badRequest(`'${path}' is required: ${wanted}`, path, 'missing_required_parameter')
  return badRequest(`'${path}' must be ${wanted}`, path, 'invalid_value')
}

/** Of a union, the branch that got furthest tells best what was meant. */
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

/** `/messages/0/content` as people write it: `messages[0].content`. */
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
