import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { Sampling } from '../../sdk/chat.ts'
import type { Flavour } from '../../sdk/dialect.ts'
import { type SamplingField, type SamplingValues, spellings } from '../../sdk/sampling.ts'
import {
  fieldNamed,
  isAbsent,
  nameOn,
  type SamplingRow,
  type SamplingTable,
  type SamplingVeto,
  vetoOf,
} from './sampling.ts'

export interface SamplingDefaults {
  /** Members of the upstream's body. */
  sampling: JsonObject
  /** Defaults other than sampling, by their configured names; without `options`. */
  others: JsonObject
}

/**
 * Translates an operator's defaults for a body. Names of the dialect itself stay, with their values brought into its
 * range; names of other dialects and members of Ollama's `options` are translated, and passed over where the server
 * has no such field. Where several name one field, the first one counts, and `options` last.
 */
export function translateDefaults(
  table: SamplingTable,
  body: JsonObject,
  defaults: JsonObject,
  { flavour, veto }: { flavour: Flavour; veto?: SamplingVeto },
): SamplingDefaults {
  const sampling: JsonObject = {}
  const others: JsonObject = {}
  const set = new Set<SamplingField>()
  const { options, ...named } = defaults
  const translate = (
    field: SamplingField,
    given: Pick<GivenDefault, 'name' | 'value' | 'isOwnForm'>,
  ): void => {
    if (set.has(field) || isAbsent(given.value)) return
    const member = defaultMember(table, field, { ...given, body, flavour, veto })
    if (!member) return
    set.add(field)
    Object.assign(sampling, member)
  }
  for (const [name, value] of Object.entries(named)) {
    const field = fieldNamed(name, table)
    if (field === undefined) others[name] = value
    else translate(field, { name, value, isOwnForm: true })
  }
  for (const [name, value] of Object.entries(isObject(options) ? options : {})) {
    const field = fieldNamed(name, table)
    if (field !== undefined) translate(field, { name, value, isOwnForm: false })
  }
  return { sampling, others }
}

interface GivenDefault {
  name: string
  value: unknown
  /** Whether the name is one of an upstream's body, not of Ollama's `options`. */
  isOwnForm: boolean
  body: JsonObject
  flavour: Flavour
  veto: SamplingVeto | undefined
}

function defaultMember<Field extends SamplingField>(
  table: SamplingTable,
  field: Field,
  { name, value, body, flavour, veto, isOwnForm }: GivenDefault,
): JsonObject | undefined {
  const row: SamplingRow<SamplingValues[Field]> = table[field]
  if (!('names' in row)) return undefined
  const isOwn = isOwnForm && row.names.includes(name)
  const written = isOwn ? name : nameOn(row, flavour)
  if (written === undefined || row.names.some((other) => other !== written && !isAbsent(body[other])))
    return undefined
  const meant = spellings[field].read(value)
  if (meant === undefined) return isOwn ? { [name]: value } : undefined
  if (vetoOf(veto, field, meant) !== undefined) return undefined
  const fitting = row.range ? row.range.fit(meant) : meant
  if (fitting === undefined) return undefined
  if (isOwn && fitting === meant) return { [name]: value }
  const sampling: Sampling = {}
  sampling[field] = fitting
  const form = row.write ? row.write(fitting, sampling) : fitting
  return form === undefined ? undefined : { [written]: form }
}

/** Defaults for members missing in a body. Objects are merged member by member. */
export function fillMissing(body: JsonObject, defaults: JsonObject): JsonObject {
  const members: JsonObject = {}
  for (const [name, value] of Object.entries(defaults)) {
    const sent = body[name]
    if (isAbsent(value)) continue
    if (isAbsent(sent)) members[name] = value
    else if (isObject(sent) && isObject(value)) Object.assign(members, completed(name, sent, value))
  }
  return members
}

/** Objects that name their own kind (`response_format`, `tool_choice`) are one value and are not mixed. */
function completed(name: string, sent: JsonObject, defaults: JsonObject): JsonObject {
  if ('type' in sent) return {}
  const missing = Object.entries(defaults).filter(([member]) => isAbsent(sent[member]))
  return missing.length === 0 ? {} : { [name]: { ...sent, ...Object.fromEntries(missing) } }
}
