import type { EngineLoadedModel, EngineSignals } from '../../sdk/engine-signals.ts'
import type { Target } from '../../sdk/target.ts'

/** The model of a target in its engine's memory; undefined: it is not there, or nothing is known. */
function loadedModel(
  { upstreamModel }: Pick<Target, 'upstreamModel'>,
  { loaded = [], holdsOne }: EngineSignals,
): EngineLoadedModel | undefined {
  const wanted = looseName(upstreamModel)
  return loaded.find(({ name }) => looseName(name) === wanted) ?? (holdsOne ? loaded[0] : undefined)
}

/** Whether the engine has the target's model in memory now; undefined: unknown. */
export function isLoaded(target: Target, signals: EngineSignals | undefined): boolean | undefined {
  if (signals?.state === 'asleep' || signals?.state === 'loading') return false
  if (signals?.loaded === undefined) return undefined
  if (loadedModel(target, signals)) return true
  // Other engines answer to names that they do not list, such as those of adapters.
  return target.type.loadsOnDemand ? false : undefined
}

/** Of prompt tokens since the engine's start, where it gives no ratio itself. */
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

/** As Ollama matches names: in any case, and `m` is `m:latest`. */
function looseName(name: string): string {
  return name.toLowerCase().replace(/:latest$/, '')
}
