import { isDeepStrictEqual } from 'node:util'
import type { Model, Target } from '../../sdk/target.ts'

/** Differences after a reload of the models. Standby targets are included. */
export interface ModelsChange {
  readonly added: readonly Target[]
  /** Get no new requests; running ones continue. */
  readonly removed: readonly Target[]
  /**
   * Added targets that replace a removed one, by the added target: a changed description (weight, defaults) of the
   * same model on the same server with the same connection. Knowledge about the former applies to it.
   */
  readonly replaced: ReadonlyMap<Target, Target>
}

/**
 * Replaces new objects by equal former ones, so that state kept for a target or model
 * is preserved.
 */
export function reuse(
  former: readonly Model[],
  next: readonly Model[],
): { models: Model[]; change: ModelsChange } {
  const old = new Map(targetsOf(former).map((target) => [keyOf(target), target]))
  const oldModels = new Map(former.map((model) => [model.alias, model]))
  const keep = (target: Target): Target => {
    const before = old.get(keyOf(target))
    return before && isDeepStrictEqual(before, target) ? before : target
  }
  const models = next.map((model) => {
    const kept = { ...model, targets: model.targets.map(keep), sleeping: model.sleeping.map(keep) }
    const before = oldModels.get(model.alias)
    return before && isDeepStrictEqual(before, kept) && hasSameTargets(before, kept) ? before : kept
  })
  const [before, after] = [new Set(targetsOf(former)), new Set(targetsOf(models))]
  const added = [...after].filter((target) => !before.has(target))
  const removed = [...before].filter((target) => !after.has(target))
  const replaced = added.flatMap((target): [Target, Target][] => {
    const other = old.get(keyOf(target))
    return other && isSameServer(other, target) ? [[target, other]] : []
  })
  return { models, change: { added, removed, replaced: new Map(replaced) } }
}

/** One id per server address, whatever its models. */
function keyOf({ model, id }: Target): string {
  return JSON.stringify([model, id])
}

function targetsOf(models: readonly Model[]): Target[] {
  return models.flatMap(({ targets, sleeping }) => [...targets, ...sleeping])
}

function hasSameTargets(a: Model, b: Model): boolean {
  const [one, other] = [targetsOf([a]), targetsOf([b])]
  return one.length === other.length && one.every((target, index) => target === other[index])
}

/** With another key or path a failing target may work, so knowledge about it no longer applies. */
function isSameServer(a: Target, b: Target): boolean {
  const reach = ({
    model,
    type,
    upstreamModel,
    origin,
    paths,
    formPaths,
    token,
    connection,
    healthPath,
  }: Target) => [model, type, upstreamModel, origin, paths, formPaths, token, connection, healthPath] as const
  return isDeepStrictEqual(reach(a), reach(b))
}
