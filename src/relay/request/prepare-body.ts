import {
  applyEdits,
  type Edit,
  editedPieces,
  type JsonScan,
  scanObject,
  setMembers,
} from '../../lib/json/splice.ts'
import type { Drop, Flavour, WriteRequestOptions } from '../../sdk/dialect.ts'
import { flavourOf } from '../../sdk/profile.ts'
import type { Target } from '../../sdk/target.ts'
import { fitDefaults } from '../profile/fit-sampling.ts'
import { wellFormed } from '../profile/well-formed.ts'

const none: readonly never[] = []

export type PreparedBody = Buffer | readonly Buffer[]

/** From here on a copy of a body costs more than sending it in pieces. */
const largeBytes = 32 * 1024

/** How the body for a target differs from the client's. */
export interface PassthroughChanges {
  /** The operator's defaults for what the client left out. */
  defaults?: Record<string, unknown>
  /** Set whatever the client sent; the name of the model always is. */
  set?: Record<string, unknown> | undefined
  /** Members that the target does not get, beside those that its configuration drops. */
  removed?: readonly string[]
  /** Within members that stay. */
  edits?: readonly Edit[]
  /** Told of members that the target's configuration drops. */
  drop?: Drop
}

/** A client's own bytes for one target, with the least changed that the target needs. */
export function passthroughBody(
  { bytes, scan }: { bytes: Buffer; scan: JsonScan },
  target: Target,
  changes: PassthroughChanges = {},
): PreparedBody {
  const { defaults, set, edits = none, drop } = changes
  if (drop) reportDropped(scan, target, drop)
  const removed = removedMembers(target, changes.removed)
  const values: Record<string, unknown> = { ...defaults }
  for (const name of removed) delete values[name]
  Object.assign(values, set, modelMember(target))
  if (removed.size > 0) for (const name of Object.keys(values)) removed.delete(name)
  if (edits.length === 0) return edited(bytes, setMembers(scan, values, removed))
  if (removed.size === 0) return edited(bytes, [...edits, ...setMembers(scan, values, removed)])
  // Removals reach over members that were just edited, so the positions are looked up again.
  const changed = applyEdits(bytes, edits)
  const changedScan = scanObject(changed)
  return changedScan ? applyEdits(changed, setMembers(changedScan, values, removed)) : changed
}

/** Names the model in a body; nothing where the path does. */
function modelMember({ type, upstreamModel }: Target): Record<string, unknown> {
  return type.modelIn === 'path' ? {} : { model: upstreamModel }
}

/** Why a member of `drop_params` is not sent. */
const droppedByOperator = 'listed in drop_params of the provider'

function reportDropped({ members }: JsonScan, { dropParams }: Target, drop: Drop): void {
  if (dropParams.length === 0) return
  for (const { key } of members) if (key !== 'model' && dropParams.includes(key)) drop(key, droppedByOperator)
}

/** Members of a client's body that a target does not get; never the name of the model. */
export function removedMembers({ dropParams }: Target, removed: readonly string[] = none): Set<string> {
  const all = new Set(dropParams)
  for (const name of removed) all.add(name)
  all.delete('model')
  return all
}

function edited(bytes: Buffer, edits: readonly Edit[]): PreparedBody {
  return bytes.length < largeBytes ? applyEdits(bytes, edits) : editedPieces(bytes, edits)
}

/** The parts of a dialect's codec that complete a request which the router writes. */
export interface BodyCodec {
  missingDefaults?(
    body: Record<string, unknown>,
    defaults: Record<string, unknown>,
    flavour?: Flavour,
  ): Record<string, unknown>
  readonly translatedMembers?: Readonly<Record<string, unknown>> | undefined
}

/** How the body for a target differs from what the codec wrote. */
export interface TranslationChanges {
  /** The operator's, where they are not all of the target's. */
  defaults?: Record<string, unknown>
  /** Members that neither the client nor the operator sets, where they are not those of the codec. */
  members?: Readonly<Record<string, unknown>> | undefined
  /** Fits the body to the target, once its defaults are in. */
  fit?(body: Record<string, unknown>): void
  /** Set whatever the body has; the name of the model always is. */
  set?: Record<string, unknown>
  /** Told of what the target does not get. */
  drop?: Drop
}

/** Completes a request for one target that the router wrote: with the operator's defaults, without what the target does not get. */
export function translatedBody(
  body: Record<string, unknown>,
  target: Target,
  codec: BodyCodec,
  { defaults = target.defaults, members = codec.translatedMembers, fit, set, drop }: TranslationChanges = {},
): Buffer {
  const fitting = fitDefaults(defaults, body, target.profile)
  Object.assign(body, codec.missingDefaults?.(body, fitting, flavourOf(target)))
  for (const [name, value] of Object.entries(members ?? {})) body[name] ??= value
  fit?.(body)
  for (const member of target.dropParams) {
    if (body[member] !== undefined) drop?.(member, droppedByOperator)
    delete body[member]
  }
  Object.assign(body, set, modelMember(target))
  return Buffer.from(wellFormed(JSON.stringify(body), drop))
}

/** Properties of the target that a codec writes for. */
export function writeOptions(target: Target, drop: Drop): WriteRequestOptions {
  const { upstreamModel: model, systemTurns, profile } = target
  return { model, flavour: flavourOf(target), systemTurns, profile, drop }
}

/** The client's request cannot be read, whatever the target; the cause says why. */
export class UnreadableRequest extends Error {
  constructor(cause: unknown) {
    super('the request cannot be read', { cause })
  }
}
