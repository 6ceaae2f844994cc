import type { JsonObject } from '../../lib/json/read.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Flavour } from '../../sdk/profile.ts'
import {
  type Sampling,
  type SamplingField,
  type SamplingValues,
  samplingFields,
  spellings,
} from '../../sdk/sampling.ts'
import type { Drop } from '../../sdk/write-options.ts'

/** {@link Sampling} as a mapped type, which lets the compiler relate a field to its row. */
type MappedSampling = { readonly [Field in keyof SamplingValues]?: SamplingValues[Field] }

/** Name and form of a field in a dialect. */
export interface Carried<Value> {
  /** Wire names in reading order. The first one is written unless `nameFor` returns another. */
  readonly names: readonly [string, ...string[]]
  /** The wire name on servers of a flavour; undefined if they lack the field, which is reported with `absent`. */
  readonly nameFor?: (flavour: Flavour) => string | undefined
  readonly absent?: string
  /** Reads the value in a client's body; undefined: the server's default. Absent: the reader that all dialects share. */
  readonly read?: (value: unknown, body: JsonObject) => Value | undefined
  /** Clamps a value to the dialect's range; undefined if it must be dropped. A change is reported with `why`. */
  readonly range?: { readonly fit: (value: Value) => Value | undefined; readonly why?: string }
  /** The value on the wire; undefined if it need not be sent. Absent: unchanged. */
  readonly write?: (value: Value, sampling: Readonly<Sampling>) => unknown
}

/** A field that the dialect lacks. It is reported with the reason unless its value changes nothing. */
interface Dropped<Value> {
  readonly dropped: string
  readonly unless?: (value: Value) => boolean
}

/** A field that changes the response: the request is rejected unless the value has no effect. */
interface Rejected<Value> {
  readonly rejected: string
  readonly unless: (value: Value) => boolean
}

/** A field that refines another one, and is dropped and reported with it. */
interface PartOf {
  readonly partOf: SamplingField
}

export type SamplingRow<Value> = Carried<Value> | Dropped<Value> | Rejected<Value> | PartOf

/**
 * How a dialect maps each field of {@link Sampling}; a field without a row does not compile. One table reads a
 * client's body, writes an upstream's, reports what is dropped and translates the operator's defaults.
 */
export type SamplingTable = { readonly [Field in SamplingField]: SamplingRow<SamplingValues[Field]> }

/** The rows of fields that only inference engines have, for the dialect of a vendor. */
export function engineFieldsDropped<Reason extends string>(reason: Reason) {
  const row = { dropped: reason }
  return { minP: row, typicalP: row } satisfies Partial<SamplingTable>
}

/** The row of `n` for a dialect with one choice per request. */
export const singleChoice = {
  rejected: 'The upstream of this model returns one choice per request; n must be 1',
  unless: (choices: number): boolean => choices <= 1,
} satisfies SamplingRow<number>

/** Why a value may not be sent although the dialect has the field: something else in the request or the model forbids it. */
export type SamplingVeto = {
  readonly [Field in SamplingField]?: (value: SamplingValues[Field]) => string | undefined
}

/** Reads the sampling of a client's body. */
export function readSampling(table: SamplingTable, body: JsonObject): Sampling {
  const sampling: Sampling = {}
  for (const field of samplingFields) readField(table, field, { body, sampling })
  return sampling
}

function readField<Field extends SamplingField>(
  table: SamplingTable,
  field: Field,
  { body, sampling }: { body: JsonObject; sampling: Sampling },
): void {
  const row: SamplingRow<SamplingValues[Field]> = table[field]
  if (!('names' in row)) return
  const read: NonNullable<Carried<SamplingValues[Field]>['read']> = row.read ?? spellings[field].read
  for (const name of row.names) {
    const value = isAbsent(body[name]) ? undefined : read(body[name], body)
    if (value === undefined) continue
    sampling[field] = value
    return
  }
}

const unsupported = 'not supported by the upstream'

export interface WriteSamplingOptions {
  flavour: Flavour
  drop: Drop
  veto?: SamplingVeto
}

/** The members of an upstream's body. Throws `bad_request` for an unsupported value that changes the response. */
export function writeSampling(
  table: SamplingTable,
  sampling: Readonly<Sampling>,
  options: WriteSamplingOptions,
): JsonObject {
  const body: JsonObject = {}
  for (const field of samplingFields) Object.assign(body, writeField(table, field, sampling, options))
  return body
}

function writeField<Field extends SamplingField>(
  table: SamplingTable,
  field: Field,
  sampling: MappedSampling,
  { flavour, drop, veto }: WriteSamplingOptions,
): JsonObject {
  const value: SamplingValues[Field] | undefined = sampling[field]
  if (value === undefined) return {}
  const row: SamplingRow<SamplingValues[Field]> = table[field]
  const report = (why: string): JsonObject => {
    drop(spellings[field].names[0], why)
    return {}
  }
  if ('partOf' in row) return {}
  if ('dropped' in row) return row.unless?.(value) ? {} : report(row.dropped)
  if ('rejected' in row) {
    if (row.unless(value)) return {}
    throw badRequest(row.rejected, spellings[field].names[0])
  }
  const name = wireNameOn(row, flavour)
  if (name === undefined) return report(row.absent ?? unsupported)
  const reason = vetoReason(veto, field, value)
  if (reason !== undefined) return report(reason)
  const clamped = row.range ? row.range.fit(value) : value
  if (row.range?.why !== undefined && clamped !== value) report(row.range.why)
  const written = clamped === undefined || !row.write ? clamped : row.write(clamped, sampling)
  return written === undefined ? {} : { [name]: written }
}

/** The wire name of a field on servers of a flavour; undefined if they lack it. */
export function wireNameOn(
  { names, nameFor }: Pick<Carried<unknown>, 'names' | 'nameFor'>,
  flavour: Flavour,
): string | undefined {
  return nameFor ? nameFor(flavour) : names[0]
}

/** Why a value may not be sent; undefined if it may. */
export function vetoReason<Field extends SamplingField>(
  veto: SamplingVeto | undefined,
  field: Field,
  value: SamplingValues[Field],
): string | undefined {
  const reasonFor: ((value: SamplingValues[Field]) => string | undefined) | undefined = veto?.[field]
  return reasonFor?.(value)
}

/** How a field reaches servers of a flavour: its wire name, or why it is dropped or refused. */
export function samplingMapping(
  table: SamplingTable,
  field: SamplingField,
  flavour: Flavour,
): { name: string } | { dropped: string } | { refused: string } {
  const row = table[field]
  if ('partOf' in row) return samplingMapping(table, row.partOf, flavour)
  if ('dropped' in row) return { dropped: row.dropped }
  if ('rejected' in row) return { refused: row.rejected }
  const name = wireNameOn(row, flavour)
  return name === undefined ? { dropped: row.absent ?? unsupported } : { name }
}

/** The field with this name: in the table's own dialect first, then in any other. */
export function fieldNamed(name: string, table: SamplingTable): SamplingField | undefined {
  const inTable = samplingFields.find((field) => {
    const row = table[field]
    return 'names' in row && row.names.includes(name)
  })
  return inTable ?? samplingFields.find((field) => spellings[field].names.includes(name))
}

export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}
