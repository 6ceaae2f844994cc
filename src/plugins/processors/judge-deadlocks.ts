import type { ConfiguredProcessor } from '../../config/processors/read.ts'
import type { Model } from '../../sdk/target.ts'

/**
 * Errors for guardrails on responses whose model may have no free slot except that of the judged request: the request keeps
 * its target while its response is judged, and would deadlock.
 */
export function judgeDeadlocks(
  configured: readonly ConfiguredProcessor[],
  models: readonly Model[],
  isExclusive: (strategy: string | undefined) => boolean,
): string[] {
  return configured.flatMap((processor) => {
    if (processor.type !== 'guardrail') return []
    const { on = 'request', service } = processor.entry
    const judge = models.find(({ alias }) => service?.type === 'model' && alias === service.model)
    if (on === 'request' || !judge || !isHeldWhole(judge, isExclusive)) return []
    const mayHold = judgedBy(processor.models, models)
    if (!mayHold.has(judge.alias)) return []
    return [
      `${processor.path}.service.model: requests to ${JSON.stringify(judge.alias)} are judged by that model, whose servers take one request at a time, so they could wait for themselves; leave it out of "models", or give it another strategy or "max_in_flight"`,
    ]
  })
}

/** Whether requests may occupy all of the model's targets exclusively. */
function isHeldWhole(
  { strategy, targets }: Model,
  isExclusive: (name: string | undefined) => boolean,
): boolean {
  return targets.every(({ maxInFlight }) => (maxInFlight ?? (isExclusive(strategy) ? 1 : undefined)) === 1)
}

/** Models whose targets a judged request may hold: the requested ones and their fallbacks. */
function judgedBy(named: readonly string[] | undefined, models: readonly Model[]): ReadonlySet<string> {
  if (!named) return new Set(models.map(({ alias }) => alias))
  const judged = models.filter(({ alias, fallbacks }) =>
    [alias, ...fallbacks].some((each) => named.includes(each)),
  )
  return new Set(judged.flatMap(({ alias, fallbacks }) => [alias, ...fallbacks]))
}
