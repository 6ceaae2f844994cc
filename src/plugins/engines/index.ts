import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { HealthPeer, HealthPeers } from '../../cluster/health.ts'
import type { LoadedModel } from '../../fleet/model-cards.ts'
import { isObject } from '../../lib/json/read.ts'
import type { Router } from '../../sdk/console/routers.ts'
import { modelIn } from '../../sdk/engine-listings.ts'
import type { EngineKind, EngineSignals } from '../../sdk/engine-signals.ts'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'
import type { UpstreamHeaders } from '../../sdk/transport.ts'
import { openFleetBus } from '../../stores/choose.ts'
import type { ModelDemand } from '../../stores/fleet/store.ts'
import { EnginePolls, minPauseMs } from './engine-polls.ts'
import { EngineStates } from './engine-states.ts'

type RouterListener = (router: string, about: Router) => void
type DemandListener = (router: string, models: ModelDemand) => void
/** `wake`: resolves to the targets of an engine that has been woken. */
type EnginePeer = Pick<HealthPeer, 'lead' | 'receive'> & { wake(engine: string): Promise<readonly Target[]> }
type SignalsListener = (targets: readonly Target[], signals: EngineSignals | undefined) => void

declare module 'fastify' {
  interface FastifyInstance {
    engines: {
      /**
       * Whether non-streaming responses of the target are requested as streams: true for llama.cpp servers, whatever
       * their provider type.
       */
      collects(target: Target): boolean
      /** Call with the headers of each response of a target; they may name the engine. */
      heard(target: Target, headers: UpstreamHeaders): void
      /** Smallest context length of a model's targets, in tokens; 0 if unknown. */
      contextOf(model: Model): number
      /**
       * What the servers report about each model: one entry per target that has it in memory. Waits up to one second.
       */
      loaded(models: readonly Model[]): Promise<ReadonlyMap<Model, readonly LoadedModel[]>>
      /** Resolves once the contexts of these models are known, or after a short timeout. */
      contextsKnown(models: readonly Model[]): Promise<void>
      /**
       * Those targets of other provider types whose servers report llama.cpp. Targets that do not answer in time are
       * omitted.
       */
      disguised(targets: readonly Target[]): Promise<ReadonlySet<Target>>
      /** The last poll of the target's server; undefined if nothing is known. */
      signalsOf(target: Target): EngineSignals | undefined
      /** Calls the listener with each poll of the server behind these targets. */
      onSignals(listener: SignalsListener): void
      /** Connects this process with the others: the leader polls, and all receive its results. */
      peer(peers: Pick<HealthPeers, 'tell' | 'wake'>): EnginePeer
      /** Asks the polling process to wake the target's engine, which may fail. */
      wake(target: Target): void
      /** Publishes the demand for each model to the other routers, if this process polls. Undefined if nothing is new. */
      shareDemand(read: () => Promise<ModelDemand | undefined>): Promise<void>
      /** Calls the listener with the demand for each model at another router. */
      onDemand(listener: DemandListener): void
      /** Announces this router to the others, if this process polls. */
      shareRouter(read: () => Promise<Router>): Promise<void>
      /** Calls the listener with another router's announcement. */
      onRouter(listener: RouterListener): void
    }
  }
}

/** Maximum age of a list for queries about loaded models and about contexts, in milliseconds. */
const loadedAgeMs = 2_000
const contextAgeMs = 10_000
/** Maximum time that a client waits for unresponsive servers, in milliseconds. */
const loadedWaitMs = 1_000
const contextWaitMs = 500
const checkWaitMs = 2_000
/** Weights come back from main memory in seconds. */
const leastWakeMs = 10_000
/** Provider types commonly configured for llama.cpp servers. */
const otherTypes: ReadonlySet<string> = new Set(['openai', 'vllm'])

/**
 * What the engines behind the targets report: loaded models, their contexts, and whether they are llama.cpp. Servers
 * are asked when a client needs it; those that may be llama.cpp under another provider type also at the health check
 * interval. Requests to models never wait for this.
 */
export default fp(
  (app, _options, done) => {
    const states = new EngineStates({
      transportOf: app.upstream.transportOf,
      intervalMs: app.config.healthIntervalMs,
      now: () => performance.now(),
    })
    const named = new WeakSet<Target>()
    const { polls, listeners, demandListeners, routerListeners, connect, wake } = signalPolls(app, (target) =>
      kindOf(target, states),
    )
    const targetsOf = (models: readonly Model[]): Target[] => models.flatMap(({ targets }) => targets)
    app.decorate('engines', {
      collects: (target) =>
        target.type.collectsWholeAnswers === true ||
        named.has(target) ||
        states.stateOf(target)?.isLlamaCpp === true,
      heard: (target, headers) => {
        if (headers.server === 'llama.cpp') named.add(target)
      },
      contextOf: (model) => {
        const contexts = model.targets.flatMap((target) => contextOf(target, states) ?? [])
        return contexts.length === 0 ? 0 : Math.min(...contexts)
      },
      async loaded(models) {
        await states.refresh(targetsOf(models), { maxAgeMs: loadedAgeMs, waitMs: loadedWaitMs })
        return new Map(models.map((model) => [model, loadedOf(model, states)]))
      },
      contextsKnown: (models) =>
        states.refresh(targetsOf(models), { maxAgeMs: contextAgeMs, waitMs: contextWaitMs, onlyNew: true }),
      async disguised(targets) {
        const others = targets.filter(({ type }) => otherTypes.has(type.name))
        await states.refresh(others, { maxAgeMs: 0, waitMs: checkWaitMs })
        return new Set(others.filter((target) => states.stateOf(target)?.isLlamaCpp === true))
      },
      signalsOf: (target) => polls.signalsOf(target),
      onSignals: (listener) => {
        listeners.push(listener)
      },
      peer: connect,
      wake,
      async shareDemand(read) {
        const { bus } = polls
        if (!bus || bus.role === 'alone') return
        const models = await read()
        if (models) bus.publish({ type: 'demand', models })
      },
      onDemand: (listener) => {
        demandListeners.push(listener)
      },
      async shareRouter(read) {
        const { bus } = polls
        if (bus && bus.role !== 'alone') bus.publish({ type: 'router', about: await read() })
      },
      onRouter: (listener) => {
        routerListeners.push(listener)
      },
    })
    if (app.config.healthIntervalMs > 0) {
      const watch = (): void => states.watch(targetsOf(app.models.all()).filter(mayBeDisguised))
      app.models.onChange(watch)
      app.addHook('onReady', (ready) => {
        watch()
        ready()
      })
    }
    app.addHook('preClose', (closed) => {
      states.stop()
      closed()
    })
    done()
  },
  { name: 'engines', dependencies: ['config', 'models', 'upstream'] },
)

/**
 * The kind of engine that a target's server is polled as; undefined if it is not polled because it is a cloud provider or its
 * health checks are disabled.
 */
function kindOf(target: Target, states: EngineStates): EngineKind | undefined {
  const { type, healthPath } = target
  if (type.engine !== undefined && healthPath === undefined) return undefined
  if (mayBeDisguised(target) && states.stateOf(target)?.isLlamaCpp) return 'llamacpp'
  // The operator declared that the server supports more than chats.
  return type.engine ?? (type.dialect === 'openai' && healthPath !== undefined ? 'metrics' : undefined)
}

function signalPolls(app: FastifyInstance, kindOf: (target: Target) => EngineKind | undefined) {
  const { replicas, healthIntervalMs, loadingTimeoutMs, externalTimeoutMs } = app.config
  const listeners: SignalsListener[] = []
  const demandListeners: DemandListener[] = []
  const routerListeners: RouterListener[] = []
  let peers: Pick<HealthPeers, 'tell' | 'wake'> | undefined
  const polls = new EnginePolls({
    kindOf,
    random: Math.random,
    now: () => performance.now(),
    transportOf: app.upstream.transportOf,
    intervalMs: minPauseMs * replicas,
    openFleetBus: () => openFleetBus(app),
    wakeTimeoutMs: Math.min(externalTimeoutMs, Math.max(leastWakeMs, loadingTimeoutMs)),
    tell: (message, router) => peers?.tell(message, router),
    onSignals: (targets, signals) => {
      for (const listener of listeners) listener(targets, signals)
    },
  })
  const cover = (): void => polls.cover(app.models.all().flatMap(allTargets))
  if (healthIntervalMs > 0) {
    cover()
    app.models.onChange(cover)
  }
  app.addHook('preClose', async () => polls.stop())
  return {
    polls,
    listeners,
    demandListeners,
    routerListeners,
    connect(to: Pick<HealthPeers, 'tell' | 'wake'>): EnginePeer {
      peers = to
      return {
        lead: (isLeader) => polls.lead(isLeader),
        wake: (engine) => polls.wake(engine),
        receive(message, router) {
          if (message.type === 'signals') polls.heard(message.server, message.signals)
          else if (message.type === 'router')
            for (const listener of routerListeners) listener(router, message.about)
          else for (const listener of demandListeners) listener(router, message.models)
        },
      }
    },
    wake(target: Target): void {
      const engine = polls.keyOf(target)
      if (engine !== undefined) peers?.wake(engine)
    },
  }
}

/**
 * Whether a target may be llama.cpp and is asked periodically. Excludes cloud providers, which use TLS, and targets
 * whose health checks are disabled.
 */
function mayBeDisguised({ type, origin, healthPath }: Target): boolean {
  if (!otherTypes.has(type.name) || !origin.startsWith('http:')) return false
  return type.healthPath === undefined || healthPath !== undefined
}

/** The smallest of the configured contexts and the engine's current one; undefined if none is known. */
function contextOf(target: Target, states: EngineStates): number | undefined {
  const { options } = target.defaults
  const set = isObject(options) ? options.num_ctx : undefined
  const configured = [target.inputSize, typeof set === 'number' ? set : 0].filter((size) => size > 0)
  const state = states.stateOf(target)
  // If every request sets its context, the engine's current one only reflects the last request.
  const used =
    typeof set === 'number' || target.autoContext ? undefined : state && modelIn(state, target.upstreamModel)
  const known = [...configured, ...(used?.context === undefined ? [] : [used.context])]
  return known.length === 0 ? undefined : Math.min(...known)
}

function loadedOf(model: Model, states: EngineStates): LoadedModel[] {
  return model.targets.flatMap((target): LoadedModel[] => {
    const known = states.of(target)
    if (!known) return [{ target, entry: undefined }]
    const entry = known.state && modelIn(known.state, target.upstreamModel)
    if (entry) return entry.loaded ? [{ target, entry }] : []
    return known.answered && !target.type.loadsModels ? [{ target, entry }] : []
  })
}
