import { isDeepStrictEqual } from 'node:util'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'

/** Changes of targets by a reload of the models, standby targets included. */
export interface ModelsChange {
  readonly added: readonly Target[]
  /** They get no new requests; running ones continue. */
  readonly removed: readonly Target[]
  /**
   * The removed target that an added one replaces, by added target: the same model on the same server with the same connection,
   * with other settings (weight, defaults). Its health state applies to the added target.
   */
  readonly replaced: ReadonlyMap<Target, Target>
}

/**
 * Replaces new models and targets by equal previous ones, so that state kept by object identity is preserved.
 */
export function reuseUnchanged(
  previous: readonly Model[],
  next: readonly Model[],
): { models: Model[]; change: ModelsChange } {
  const oldTargets = new Map(targetsOf(previous).map((target) => [keyOf(target), target]))
  const oldModels = new Map(previous.map((model) => [model.alias, model]))
  const reused = (target: Target): Target => {
    const before = oldTargets.get(keyOf(target))
    return before && isDeepStrictEqual(before, target) ? before : target
  }
  const models = next.map((model) => {
    const candidate = { ...model, targets: model.targets.map(reused), standby: model.standby.map(reused) }
    const before = oldModels.get(model.alias)
    return before && isDeepStrictEqual(before, candidate) && hasSameTargets(before, candidate)
      ? before
      : candidate
  })
  const [oldSet, newSet] = [new Set(targetsOf(previous)), new Set(targetsOf(models))]
  const added = [...newSet].filter((target) => !oldSet.has(target))
  const removed = [...oldSet].filter((target) => !newSet.has(target))
  const replaced = added.flatMap((target): [Target, Target][] => {
    const before = oldTargets.get(keyOf(target))
    return before && isSameServer(before, target) ? [[target, before]] : []
  })
  return { models, change: { added, removed, replaced: new Map(replaced) } }
}

/** Identifies a target across reloads. Ids are only unique within a model. */
function keyOf({ model, id }: Target): string {
  return JSON.stringify([model, id])
}

function targetsOf(models: readonly Model[]): Target[] {
  return models.flatMap(allTargets)
}

function hasSameTargets(a: Model, b: Model): boolean {
  const [one, other] = [targetsOf([a]), targetsOf([b])]
  return one.length === other.length && one.every((target, index) => target === other[index])
}

/** With another key or path a failing target may work, so its health state no longer applies. */
function isSameServer(a: Target, b: Target): boolean {
  const accessOf = ({
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
  return isDeepStrictEqual(accessOf(a), accessOf(b))
}
