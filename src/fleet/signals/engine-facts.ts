import { looseName } from '../../sdk/engine-listings.ts'
import type { EngineLoadedModel, EngineSignals } from '../../sdk/engine-signals.ts'
import type { Target } from '../../sdk/target.ts'

/** The target's model as loaded in its engine; undefined if it is not loaded or unknown. */
function loadedModel(
  { upstreamModel }: Pick<Target, 'upstreamModel'>,
  { loaded = [], holdsOne }: EngineSignals,
): EngineLoadedModel | undefined {
  const normalizedName = looseName(upstreamModel)
  return loaded.find(({ name }) => looseName(name) === normalizedName) ?? (holdsOne ? loaded[0] : undefined)
}

/** Whether the engine has the target's model in memory now; undefined: unknown. */
export function isLoaded(target: Target, signals: EngineSignals | undefined): boolean | undefined {
  if (signals?.state === 'asleep' || signals?.state === 'loading') return false
  if (signals?.loaded === undefined) return undefined
  if (loadedModel(target, signals)) return true
  // Other engines accept names that they do not list, such as those of adapters.
  return target.type.loadsOnDemand ? false : undefined
}

/** Over all prompt tokens since the engine started, for engines that do not export a ratio. */
export function cacheHitRatio({
  cacheHitRate,
  cacheHitTokens,
  cacheQueryTokens = 0,
}: EngineSignals): number | undefined {
  if (cacheHitRate !== undefined) return cacheHitRate
  return cacheHitTokens === undefined || cacheQueryTokens === 0
    ? undefined
    : Math.min(1, cacheHitTokens / cacheQueryTokens)
}
