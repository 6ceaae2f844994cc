import { Kind, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler'
import { pointerSteps } from '../../lib/json/pointer.ts'
import { badRequest, type RouterError } from '../errors.ts'

/**
 * Returns a function that validates a body against the schema: undefined if it is valid, otherwise the error for the client,
 * which names the path and the expected type.
 */
export function bodyCheck(schema: TSchema): (body: unknown) => RouterError | undefined {
  let compiled: TypeCheck<TSchema> | undefined
  return (body) => {
    // Compiled on first use: most routes never get a request, and compiling all schemas would delay startup.
    compiled ??= TypeCompiler.Compile(schema)
    if (compiled.Check(body)) return undefined
    const error = compiled.Errors(body).First()
    return error ? describe(error) : badRequest('The request is not valid')
  }
}

function describe(error: ValueError): RouterError {
  const deepest = deepestOf(error)
  const path = fieldAt(deepest.path)
  const expected = expectedBy(deepest.schema)
  if (deepest.type === ValueErrorType.ObjectAdditionalProperties)
    return badRequest(`'${path}' is not a known field`, path, 'unknown_parameter')
  if (path === '') return badRequest('The body must be a JSON object')
  if (deepest.value === undefined)
    return badRequest(`'${path}' is required: ${expected}`, path, 'missing_required_parameter')
  return badRequest(`'${path}' must be ${expected}`, path, 'invalid_value')
}

/** Like {@link bodyCheck}, but the returned function throws the error. */
export function bodyAssertion(schema: TSchema): (body: unknown) => void {
  const check = bodyCheck(schema)
  return (body) => {
    const error = check(body)
    if (error) throw error
  }
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
export function fieldAt(pointer: string): string {
  return pointerSteps(pointer).reduce((path, step) => {
    if (/^\d+$/.test(step)) return `${path}[${step}]`
    return path === '' ? step : `${path}.${step}`
  }, '')
}

function expectedBy(schema: TSchema): string {
  if (typeof schema.errorMessage === 'string') return schema.errorMessage
  if (typeof schema.allowed === 'string') return schema.allowed
  if (schema[Kind] === 'Union' && Array.isArray(schema.anyOf)) {
    const expected = new Set(schema.anyOf.map((branch: TSchema) => expectedBy(branch)))
    return [...expected].join(' or ')
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
