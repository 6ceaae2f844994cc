import { isObject } from '../../lib/json/read.ts'

type TypeName<T> = T extends string
  ? 'string'
  : T extends number
    ? 'number'
    : T extends boolean
      ? 'boolean'
      : T extends readonly unknown[]
        ? 'list'
        : T extends (...args: never[]) => unknown
          ? 'function'
          : 'object'

type IsOptional<T, Name extends keyof T> = Record<never, never> extends Pick<T, Name> ? true : false

/** Types of the members of an object that an extension provides; those with `?` may be absent. */
export type Members<T> = {
  readonly [Name in keyof T]-?: IsOptional<T, Name> extends true
    ? `${TypeName<NonNullable<T[Name]>>}?`
    : TypeName<T[Name]>
}

const words = {
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  list: 'a list',
  function: 'a function',
  object: 'an object',
} as const

/**
 * Returns an error for each missing member and each member of the wrong type; extensions may be plain JavaScript, where no
 * compiler checks this. `path`: prefix of the members' names.
 */
export function memberErrors(value: unknown, members: Readonly<Record<string, string>>, path = ''): string[] {
  if (!isObject(value)) return [path === '' ? 'it must be an object' : `'${path}' must be an object`]
  const prefix = path === '' ? '' : `${path}.`
  return Object.entries(members).flatMap(([name, type]) => {
    const member = value[name]
    const isOptional = type.endsWith('?')
    const expectedType = type.replace('?', '')
    if (typeOf(member) === expectedType || (isOptional && member === undefined)) return []
    const word = isWord(expectedType) ? words[expectedType] : expectedType
    return member === undefined
      ? [`'${prefix}${name}' is required: ${word}`]
      : [`'${prefix}${name}' must be ${word}`]
  })
}

function isWord(name: string): name is keyof typeof words {
  return name in words
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'list'
  return value === null ? 'null' : typeof value
}
