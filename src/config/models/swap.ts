import { isDeepStrictEqual } from 'node:util'
import type { Model, Target } from '../../sdk/target.ts'

/** What is not the same after the models were read again. Sleeping targets count as the others do. */
export interface ModelsChange {
  readonly added: readonly Target[]
  /** They get no new requests. What runs on them runs on. */
  readonly removed: readonly Target[]
  /**
   * Of the added ones those that stand for a removed one, by the added: another description (a weight, a default) of the
   * same model on the same server, reached in the same way. What is known of the former holds for it.
   */
  readonly replaced: ReadonlyMap<Target, Target>
}

/**
 * Puts the former objects in the place of new ones that say the same, so that whatever is kept for a target or a model
 * stays with it.
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

/** The address of a server has one id, whatever models it has. */
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

/** With another key or path it may work where it did not: what is known of a target says nothing then. */
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
