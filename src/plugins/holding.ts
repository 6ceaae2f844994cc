import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { RelayServices } from '../relay/services.ts'
import type { Model, Target } from '../sdk/target.ts'

declare module 'fastify' {
  interface FastifyInstance {
    holding: {
      hold: RelayServices['hold']
      /** Requests of a model in this process that wait for a usable target. */
      held(model: Model): number
    }
  }
}

/** The end of a cooldown or of a breaker's pause emits no event, so it is polled at this interval in milliseconds. */
const revisitMs = 250

/**
 * Requests to models without a usable target: scaled to zero, asleep or down. They wait up to `hold_timeout`, and wake an engine
 * if permitted.
 */
export default fp(
  (app, _options, done) => {
    const deadlines = new WeakMap<object, number>()
    const held = new Map<string, number>()
    const waiting = new Set<() => void>()
    const review = (): void => {
      for (const look of [...waiting]) look()
    }
    app.health.onState(review)
    app.models.onChange(review)
    app.engines.onSignals(review)
    app.decorate('holding', {
      held: ({ alias }) => held.get(alias) ?? 0,
      async hold(model, request, signal) {
        signal.throwIfAborted()
        const limitMs = limitOf(app, model)
        if (limitMs === 0) return false
        const now = performance.now()
        // If the model only needs to be woken, the wait began when the engine was first found asleep.
        const since = deadlines.get(request) ?? now
        deadlines.set(request, since)
        const leftMs = since + limitMs - now
        if (leftMs <= 0) return false
        held.set(model.alias, (held.get(model.alias) ?? 0) + 1)
        try {
          return await untilServed(app, model, { leftMs, signal, waiting })
        } finally {
          const left = (held.get(model.alias) ?? 1) - 1
          if (left > 0) held.set(model.alias, left)
          else held.delete(model.alias)
        }
      },
    })
    done()
  },
  { name: 'holding', dependencies: ['config', 'models', 'engines', 'health', 'balancer'] },
)

interface Wait {
  leftMs: number
  signal: AbortSignal
  /** Checks again after every change. */
  waiting: Set<() => void>
}

/** Resolves to whether a target is usable; false after `leftMs`. Rejects with the reason of the signal. */
function untilServed(
  app: FastifyInstance,
  { alias }: Model,
  { leftMs, signal, waiting }: Wait,
): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const check = (): void => {
    const model = app.models.find(alias)
    if (model && app.health.canServe(model)) resolve(true)
    else if (model) for (const target of wakeable(app, model)) app.engines.wake(target)
    // The model was removed: the client gets an error.
    else resolve(false)
  }
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => resolve(false), leftMs)
  // Not immediately: a target that has just failed would be retried without a pause.
  const revisit = setInterval(check, Math.min(revisitMs, leftMs))
  waiting.add(check)
  for (const target of wakeable(app, app.models.find(alias))) app.engines.wake(target)
  return promise.finally(() => {
    clearTimeout(timer)
    clearInterval(revisit)
    waiting.delete(check)
    signal.removeEventListener('abort', onAbort)
  })
}

function limitOf(app: FastifyInstance, model: Model): number {
  const { holdTimeoutMs, loadingTimeoutMs } = app.config
  const holdMs = model.holdTimeoutMs ?? holdTimeoutMs
  const canWake = wakeable(app, app.models.find(model.alias)).length > 0
  return canWake ? Math.max(holdMs, loadingTimeoutMs) : holdMs
}

/** Targets whose engine is asleep and may be woken; one that has discarded its weights would need minutes. */
function wakeable(app: FastifyInstance, model: Model | undefined): readonly Target[] {
  return (model?.targets ?? []).filter(
    (target) => target.wake && app.engines.signalsOf(target)?.sleep === 'weights_offloaded',
  )
}
