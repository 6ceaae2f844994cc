import { isObject, type JsonObject, objectsIn } from '../../lib/json/read.ts'
import { badRequest } from '../../sdk/errors.ts'

/** The reason reported for a member that its dialect's reader does not know. */
export const notTranslated = 'it cannot be translated between dialects'

/** The fields of a request that its reader dropped or changed, each with the reason. */
export class DroppedFields {
  #reasons: Record<string, string> | undefined

  /** By field; undefined if there is nothing to report. */
  get reasons(): Readonly<Record<string, string>> | undefined {
    return this.#reasons
  }

  readonly add = (field: string, why: string): void => {
    this.#reasons ??= {}
    this.#reasons[field] = why
  }
}

/** Reports a field that cannot be translated, by its path without list positions. */
export type ReportField = (field: string) => void

/** More than any API has. Every step of a translation takes time for each unknown member. */
const maxUnknown = 1_000

/** Throws `bad_request` if an object or list of a request has too many unknown members to report. */
export function checkUnknownCount(count: number): void {
  if (count > maxUnknown)
    throw badRequest(
      `The request has more than ${maxUnknown} fields that cannot be translated between dialects`,
    )
}

/** The members of a body that are neither known nor absent. Throws `bad_request`, see `checkUnknownCount`. */
export function unknownMembers(body: JsonObject, known: object): JsonObject {
  return membersExcept(body, (name) => Object.hasOwn(known, name))
}

/** The same with a function that knows the names. */
export function membersExcept(object: JsonObject, isKnown: (name: string) => boolean): JsonObject {
  const unknown: [string, unknown][] = []
  for (const name in object) {
    const value = object[name]
    if (value === null || value === undefined || isKnown(name)) continue
    unknown.push([name, value])
    checkUnknownCount(unknown.length)
  }
  return Object.fromEntries(unknown)
}

/** The members that a reader knows, by name; for an object or a list of objects, the known members of those. */
export interface KnownMembers {
  readonly [name: string]: true | KnownMembers
}

/**
 * Reports unknown members of nested objects, such as `messages.content.citations`, unless they are null, false or empty.
 * `spell` returns the known spelling of a name. Throws `bad_request`, see `checkUnknownCount`.
 */
export function reportNested(
  value: unknown,
  path: string,
  known: KnownMembers,
  report: ReportField,
  spell = (name: string): string => name,
): void {
  for (const object of isObject(value) ? [value] : objectsIn(value))
    reportMembers(object, path, known, report, spell)
}

function reportMembers(
  object: JsonObject,
  path: string,
  known: KnownMembers,
  report: ReportField,
  spell: (name: string) => string,
): void {
  let unknown = 0
  for (const sent in object) {
    const name = spell(sent)
    const value = object[sent]
    const member = Object.hasOwn(known, name) ? known[name] : undefined
    if (member === true || isInsignificant(value)) continue
    if (member) reportNested(value, `${path}.${name}`, member, report, spell)
    else {
      checkUnknownCount(++unknown)
      report(`${path}.${name}`)
    }
  }
}

function isInsignificant(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
