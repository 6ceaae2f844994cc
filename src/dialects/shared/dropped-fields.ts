import { isObject, type JsonObject, objectsIn } from '../../lib/json/read.ts'

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

/** The members of a body that are neither known nor absent. */
export function unknownMembers(body: JsonObject, known: object): JsonObject {
  const unknown = Object.entries(body).filter(
    ([name, value]) => !Object.hasOwn(known, name) && value !== null && value !== undefined,
  )
  return Object.fromEntries(unknown)
}

/** The members that a reader knows, by name; for an object or a list of objects, the known members of those. */
export interface KnownMembers {
  readonly [name: string]: true | KnownMembers
}

/** Reports unknown members of nested objects, such as `messages.content.citations`, unless they are null, false or empty. */
export function reportNested(value: unknown, path: string, known: KnownMembers, report: ReportField): void {
  for (const object of isObject(value) ? [value] : objectsIn(value))
    reportMembers(object, path, known, report)
}

function reportMembers(object: JsonObject, path: string, known: KnownMembers, report: ReportField): void {
  for (const [name, value] of Object.entries(object)) {
    const member = Object.hasOwn(known, name) ? known[name] : undefined
    if (member === true || isInsignificant(value)) continue
    if (member) reportNested(value, `${path}.${name}`, member, report)
    else report(`${path}.${name}`)
  }
}

function isInsignificant(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
