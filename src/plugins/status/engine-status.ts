import { cacheHitRatio } from '../../fleet/signals/engine-facts.ts'
import { present } from '../../lib/json/read.ts'
import type { EngineStatus } from '../../sdk/console/status.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'

/** Maximum number of listed models per server: some have hundreds. */
const maxLoaded = 100

/** A server's signals in the form of the status. */
export function engineStatus(signals: EngineSignals): EngineStatus {
  const { state, sleep, running, waiting, kvUse, slots, maxRunning, loaded } = signals
  const ratio = cacheHitRatio(signals)
  return present({
    ...{ state, sleep, running: whole(running), waiting: whole(waiting) },
    kv_use: kvUse,
    cache_hit_ratio: ratio === undefined ? undefined : Math.round(ratio * 1000) / 1000,
    slots: whole(slots ?? maxRunning),
    loaded: loaded
      ?.slice(0, maxLoaded)
      .map(({ name, context, expiresAt }) => ({ name, ...present({ context, expires_at: expiresAt }) })),
  })
}

/** Prometheus samples are floating point. */
function whole(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value)
}
