import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { Sampling } from '../../sdk/chat.ts'
import type { Flavour } from '../../sdk/profile.ts'
import { type SamplingField, type SamplingValues, spellings } from '../../sdk/sampling.ts'
import {
  fieldNamed,
  isAbsent,
  type SamplingRow,
  type SamplingTable,
  type SamplingVeto,
  vetoReason,
  wireNameOn,
} from './sampling.ts'

export interface SamplingDefaults {
  /** Members of the upstream's body. */
  sampling: JsonObject
  /** Defaults other than sampling, by their configured names; without `options`. */
  others: JsonObject
}

/**
 * Translates the operator's defaults for an upstream body. Names of the dialect itself are kept, with values clamped to its
 * range; names of other dialects and members of Ollama's `options` are translated, or skipped if the server has no such field.
 * If several names mean one field, the first one applies; `options` come last.
 */
export function translateDefaults(
  table: SamplingTable,
  body: JsonObject,
  defaults: JsonObject,
  { flavour, veto }: { flavour: Flavour; veto?: SamplingVeto },
): SamplingDefaults {
  const sampling: JsonObject = {}
  const others: JsonObject = {}
  const assigned = new Set<SamplingField>()
  const { options, ...named } = defaults
  const translate = (
    field: SamplingField,
    configured: Pick<ConfiguredDefault, 'name' | 'value' | 'isTopLevel'>,
  ): void => {
    if (assigned.has(field) || isAbsent(configured.value)) return
    const member = defaultMember(table, field, { ...configured, body, flavour, veto })
    if (!member) return
    assigned.add(field)
    Object.assign(sampling, member)
  }
  for (const [name, value] of Object.entries(named)) {
    const field = fieldNamed(name, table)
    if (field === undefined) others[name] = value
    else translate(field, { name, value, isTopLevel: true })
  }
  for (const [name, value] of Object.entries(isObject(options) ? options : {})) {
    const field = fieldNamed(name, table)
    if (field !== undefined) translate(field, { name, value, isTopLevel: false })
  }
  return { sampling, others }
}

interface ConfiguredDefault {
  name: string
  value: unknown
  /** False for a member of Ollama's `options`. */
  isTopLevel: boolean
  body: JsonObject
  flavour: Flavour
  veto: SamplingVeto | undefined
}

function defaultMember<Field extends SamplingField>(
  table: SamplingTable,
  field: Field,
  { name, value, body, flavour, veto, isTopLevel }: ConfiguredDefault,
): JsonObject | undefined {
  const row: SamplingRow<SamplingValues[Field]> = table[field]
  if (!('names' in row)) return undefined
  const isWireName = isTopLevel && row.names.includes(name)
  const wireName = isWireName ? name : wireNameOn(row, flavour)
  if (wireName === undefined || row.names.some((other) => other !== wireName && !isAbsent(body[other])))
    return undefined
  const parsed = spellings[field].read(value)
  if (parsed === undefined) return isWireName ? { [name]: value } : undefined
  if (vetoReason(veto, field, parsed) !== undefined) return undefined
  const clamped = row.range ? row.range.fit(parsed) : parsed
  if (clamped === undefined) return undefined
  if (isWireName && clamped === parsed) return { [name]: value }
  const sampling: Sampling = {}
  sampling[field] = clamped
  const wireValue = row.write ? row.write(clamped, sampling) : clamped
  return wireValue === undefined ? undefined : { [wireName]: wireValue }
}

/** The defaults for members that a body lacks. Objects are merged member by member. */
export function fillMissing(body: JsonObject, defaults: JsonObject): JsonObject {
  const members: JsonObject = {}
  for (const [name, value] of Object.entries(defaults)) {
    const sent = body[name]
    if (isAbsent(value)) continue
    if (isAbsent(sent)) members[name] = value
    else if (isObject(sent) && isObject(value)) Object.assign(members, merged(name, sent, value))
  }
  return members
}

/** Objects with a `type` (`response_format`, `tool_choice`) are a single value and are never merged. */
function merged(name: string, sent: JsonObject, defaults: JsonObject): JsonObject {
  if ('type' in sent) return {}
  const missing = Object.entries(defaults).filter(([member]) => isAbsent(sent[member]))
  return missing.length === 0 ? {} : { [name]: { ...sent, ...Object.fromEntries(missing) } }
}
