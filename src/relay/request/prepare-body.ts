import {
  applyEdits,
  type Edit,
  editedPieces,
  type JsonScan,
  scanObject,
  setMembers,
} from '../../lib/json/splice.ts'
import type { Flavour } from '../../sdk/profile.ts'
import { flavourOf } from '../../sdk/profile.ts'
import type { Target } from '../../sdk/target.ts'
import type { Drop, WriteRequestOptions } from '../../sdk/write-options.ts'
import { fitDefaults } from '../profile/fit-sampling.ts'

const none: readonly never[] = []
const nothing: ReadonlySet<string> = new Set()

export type PreparedBody = Buffer | readonly Buffer[]

/** Above this size, copying a body costs more than sending it in pieces. */
const largeBytes = 32 * 1024

/** Changes to the client's body for a target. */
export interface PassthroughChanges {
  /** The operator's defaults for members that the client did not set. */
  defaults?: Record<string, unknown>
  /** Overrides the client's members; the model name is always overridden. */
  set?: Record<string, unknown> | undefined
  /** Members to remove, besides those that the configuration drops. */
  removed?: readonly string[]
  /** Edits within the remaining members. */
  edits?: readonly Edit[]
  /** Called for members that the target's configuration drops. */
  drop?: Drop
}

/** The client's bytes with the minimal changes that the target needs. */
export function passthroughBody(
  { bytes, scan }: { bytes: Buffer; scan: JsonScan },
  target: Target,
  changes: PassthroughChanges = {},
): PreparedBody {
  const { defaults, set, edits = none, drop } = changes
  if (drop) reportDropped(scan, target, drop)
  let removed = removedMembers(target, changes.removed)
  const values: Record<string, unknown> = { ...defaults }
  for (const name of removed) delete values[name]
  Object.assign(values, set, modelMember(target))
  if (removed.size > 0) removed = new Set([...removed].filter((name) => !Object.hasOwn(values, name)))
  if (edits.length === 0) return edited(bytes, setMembers(scan, values, removed))
  if (removed.size === 0) return edited(bytes, [...edits, ...setMembers(scan, values, removed)])
  // Removals span members that were just edited, so the positions are looked up again.
  const changed = applyEdits(bytes, edits)
  const changedScan = scanObject(changed)
  return changedScan ? applyEdits(changed, setMembers(changedScan, values, removed)) : changed
}

/** Sets the model name in a body, unless the path contains it. */
function modelMember({ type, upstreamModel }: Target): Record<string, unknown> {
  return type.modelIn === 'path' ? {} : { model: upstreamModel }
}

/** Why a member of `drop_params` is not sent. */
const droppedByOperator = 'listed in drop_params of the provider'

function reportDropped({ members }: JsonScan, { dropParams }: Target, drop: Drop): void {
  if (dropParams.length === 0) return
  for (const { key } of members) if (key !== 'model' && dropParams.includes(key)) drop(key, droppedByOperator)
}

/** Members removed from a client's body; never the model name. */
export function removedMembers(
  { dropParams }: Target,
  removed: readonly string[] = none,
): ReadonlySet<string> {
  if (dropParams.length + removed.length === 0) return nothing
  const all = new Set([...dropParams, ...removed])
  all.delete('model')
  return all
}

function edited(bytes: Buffer, edits: readonly Edit[]): PreparedBody {
  return bytes.length < largeBytes ? applyEdits(bytes, edits) : editedPieces(bytes, edits)
}

/** The parts of a dialect's codec that complete a request written by the router. */
export interface BodyCodec {
  missingDefaults?(
    body: Record<string, unknown>,
    defaults: Record<string, unknown>,
    flavour?: Flavour,
  ): Record<string, unknown>
  readonly translatedMembers?: Readonly<Record<string, unknown>> | undefined
}

/** Changes to the body written by the codec. */
export interface TranslationChanges {
  /** The operator's defaults, if only some of them apply. */
  defaults?: Record<string, unknown>
  /** Members that neither the client nor the operator sets, instead of the codec's. */
  members?: Readonly<Record<string, unknown>> | undefined
  /** Adapts the body to the target after its defaults were added. */
  fit?(body: Record<string, unknown>): void
  /** Overrides members of the body; the model name is always overridden. */
  set?: Record<string, unknown>
  /** Called for each dropped field. */
  drop?: Drop
}

/** Completes a request written by the router for one target: adds the operator's defaults and removes unsupported members. */
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
  return Buffer.from(withoutLoneSurrogates(JSON.stringify(body), drop))
}

/** Properties of the target that a codec needs. */
export function writeOptions(target: Target, drop: Drop): WriteRequestOptions {
  const { upstreamModel: model, systemTurns, profile } = target
  return { model, flavour: flavourOf(target), systemTurns, profile, drop }
}

/** The client's request cannot be read, whatever the target; see the cause. */
export class UnreadableRequest extends Error {
  constructor(cause: unknown) {
    super('the request cannot be read', { cause })
  }
}

/**
 * JSON without lone surrogates, which strict parsers (serde_json) reject: U+FFFD replaces each. JSON.stringify
 * writes them, and nothing else in that range, as escapes (ECMA-262, well-formed JSON.stringify).
 */
export function withoutLoneSurrogates(json: string, drop: Drop | undefined): string {
  if (!json.includes('\\ud')) return json
  const fixed = json.replaceAll(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (whole, half?: string) =>
    half === undefined ? whole : '\ufffd',
  )
  if (fixed !== json) drop?.('messages.content', 'an unpaired surrogate is not a character; U+FFFD was sent')
  return fixed
}
