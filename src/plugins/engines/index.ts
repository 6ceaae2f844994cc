import fp from 'fastify-plugin'
import type { LoadedModel } from '../../fleet/model-cards.ts'
import { isObject } from '../../lib/json/read.ts'
import { modelIn } from '../../sdk/engine-listings.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { UpstreamHeaders } from '../../sdk/transport.ts'
import { EngineLooks } from './engine-looks.ts'

declare module 'fastify' {
  interface FastifyInstance {
    engines: {
      /** Whether whole answers of a target are asked for as streams: it is a llama.cpp server, whatever its type says. */
      collects(target: Target): boolean
      /** An answer of a target has come; its headers may name the engine. */
      heard(target: Target, headers: UpstreamHeaders): void
      /** The smallest context length of a model's targets, in tokens; 0 when unknown. */
      contextOf(model: Model): number
      /** What the servers of a model say of it, one entry for each target that has it in memory; asked for within a second. */
      loaded(models: readonly Model[]): Promise<ReadonlyMap<Model, readonly LoadedModel[]>>
      /** Fulfilled when the contexts of these models are known as well as they can be; soon, whatever the servers do. */
      contextsKnown(models: readonly Model[]): Promise<void>
      /** The targets of other types whose servers say that they are llama.cpp; those that do not answer soon are left out. */
      disguised(targets: readonly Target[]): Promise<ReadonlySet<Target>>
    }
  }
}

/** For how long a list counts as new where clients ask what is loaded, and where they ask for contexts; in milliseconds. */
const loadedAgeMs = 2_000
const contextAgeMs = 10_000
/** How long a client waits for servers that do not answer, in milliseconds. */
const loadedWaitMs = 1_000
const contextWaitMs = 500
const checkWaitMs = 2_000
/** Types that llama.cpp servers have been given. */
const otherTypes: ReadonlySet<string> = new Set(['openai', 'vllm'])

/**
 * What the engines behind the targets say of themselves: which models they hold, with which context, and whether they are
 * llama.cpp. They are asked when a client wants to know, and those of other types
 * with the health checks, if they are llama.cpp; no request to a model waits for that.
 */
export default fp(
  (app, _options, done) => {
    const looks = new EngineLooks({
      transportOf: app.upstream.transportOf,
      intervalMs: app.config.healthIntervalMs,
      now: () => performance.now(),
    })
    const named = new WeakSet<Target>()
    const targetsOf = (models: readonly Model[]): Target[] => models.flatMap(({ targets }) => targets)
    app.decorate('engines', {
      collects: (target) =>
        target.type.collectsWholeAnswers === true ||
        named.has(target) ||
        looks.stateOf(target)?.isLlamaCpp === true,
      heard: (target, headers) => {
        if (headers.server === 'llama.cpp') named.add(target)
      },
      contextOf: (model) => {
        const contexts = model.targets.flatMap((target) => contextOf(target, looks) ?? [])
        return contexts.length === 0 ? 0 : Math.min(...contexts)
      },
      async loaded(models) {
        await looks.refresh(targetsOf(models), { maxAgeMs: loadedAgeMs, waitMs: loadedWaitMs })
        return new Map(models.map((model) => [model, loadedOf(model, looks)]))
      },
      contextsKnown: (models) =>
        looks.refresh(targetsOf(models), { maxAgeMs: contextAgeMs, waitMs: contextWaitMs, onlyNew: true }),
      async disguised(targets) {
        const others = targets.filter(({ type }) => otherTypes.has(type.name))
        await looks.refresh(others, { maxAgeMs: 0, waitMs: checkWaitMs })
        return new Set(others.filter((target) => looks.stateOf(target)?.isLlamaCpp === true))
      },
    })
    if (app.config.healthIntervalMs > 0) {
      const watch = (): void => looks.watch(targetsOf(app.models.all()).filter(mayBeDisguised))
      app.models.onChange(watch)
      app.addHook('onReady', (ready) => {
        watch()
        ready()
      })
    }
    app.addHook('preClose', (closed) => {
      looks.stop()
      closed()
    })
    done()
  },
  { name: 'engines', dependencies: ['config', 'models', 'upstream'] },
)

/**
 * Whether a target is to be asked, unasked by any client, if it is llama.cpp. Not the clouds, which are reached by TLS, and
 * not where the operator has turned the checks off.
 */
function mayBeDisguised({ type, origin, healthPath }: Target): boolean {
  if (!otherTypes.has(type.name) || !origin.startsWith('http:')) return false
  return type.healthPath === undefined || healthPath !== undefined
}

/** The smallest of what is configured and what the engine uses now; undefined when neither is known. */
function contextOf(target: Target, looks: EngineLooks): number | undefined {
  const { options } = target.defaults
  const set = isObject(options) ? options.num_ctx : undefined
  const configured = [target.inputSize, typeof set === 'number' ? set : 0].filter((size) => size > 0)
  const state = looks.stateOf(target)
  // Where each request says which context it wants, the one of the last request tells nothing.
  const used =
    typeof set === 'number' || target.autoContext ? undefined : state && modelIn(state, target.upstreamModel)
  const known = [...configured, ...(used?.context === undefined ? [] : [used.context])]
  return known.length === 0 ? undefined : Math.min(...known)
}

function loadedOf(model: Model, looks: EngineLooks): LoadedModel[] {
  return model.targets.flatMap((target): LoadedModel[] => {
    const look = looks.lookAt(target)
    if (!look) return [{ target, entry: undefined }]
    const entry = look.state && modelIn(look.state, target.upstreamModel)
    if (entry) return entry.loaded ? [{ target, entry }] : []
    return look.answered && !target.type.loadsModels ? [{ target, entry }] : []
  })
}
