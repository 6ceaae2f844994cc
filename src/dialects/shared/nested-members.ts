import { isObject, type JsonObject, objectsIn } from '../../lib/json/read.ts'

/** The members of an object that a reader knows, by name; those that are objects, or lists of them, with their own. */
export interface KnownMembers {
  readonly [name: string]: true | KnownMembers
}

/**
 * Reports the members below the top level that no reader looks at, by their path without positions
 * (`messages.content.citations`). Insignificant values (null, false, empty) are not reported.
 */
export function reportNested(
  value: unknown,
  path: string,
  known: KnownMembers,
  report: (field: string) => void,
): void {
  for (const object of isObject(value) ? [value] : objectsIn(value))
    reportMembers(object, path, known, report)
}

function reportMembers(
  object: JsonObject,
  path: string,
  known: KnownMembers,
  report: (field: string) => void,
): void {
  for (const [name, value] of Object.entries(object)) {
    const member = Object.hasOwn(known, name) ? known[name] : undefined
    if (member === true || saysNothing(value)) continue
    if (member) reportNested(value, `${path}.${name}`, member, report)
    else report(`${path}.${name}`)
  }
}

function saysNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
