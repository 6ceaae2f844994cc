import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { healthPeers } from '../../cluster/health.ts'
import type { AttemptWatch } from '../../relay/attempt/attempt-watch.ts'
import type { Loading } from '../../relay/attempt/loading-wait.ts'
import { allTargets, type CheckedState, type Model, type Target } from '../../sdk/target.ts'
import { HungTargets } from './hung-targets.ts'
import { LoadingServers } from './loading-servers.ts'
import { logChange } from './log-change.ts'
import { ServerChecks } from './server-checks.ts'
import { TargetHealth } from './target-health.ts'
import { TargetStates } from './target-states.ts'
import { WaitingAttempts } from './waiting-attempts.ts'

export interface Health {
  /** Health as seen by requests; shared by all models that the target serves. */
  of(target: Target): TargetHealth
  /** Summary of all targets, which spares a pick from checking each of them. */
  outlook(): HealthSummary
  /** State from the health checks of a target's server. Independent of the breaker, which requests drive. */
  stateOf(target: Target): CheckedState
  /** Calls the listener with each change of `stateOf`. */
  onState(listener: (target: Target, state: CheckedState) => void): void
  /** Observes every attempt and ends those that wait too long. */
  attempts: AttemptWatch
  /** Waiting for servers that load their models. */
  loading: Loading
  /** Whether operators have drained the target. */
  isDrained(target: Target): boolean
  /** Sets exactly the targets with these ids to drained. */
  drain(ids: ReadonlySet<string>): void
  /** Whether any target is hung. */
  hasHung(): boolean
  /** Whether the target accepts requests but does not begin responses. */
  isHung(target: Target): boolean
  /** Targets of a model that may be picked according to the health checks. */
  admit: TargetStates['admit']
  /** Targets of a model that are loading, for requests without another target. */
  loadingOf: TargetStates['loading']
  /** Whether the target currently gets requests other than probes. */
  isUsable(target: Target): boolean
  /** Whether all targets of a model are down and some are used anyway, because only their health checks time out. */
  isPanicking(model: Model): boolean
  /** Whether a request for the model would be sent to a target, even as a probe. */
  canServe(model: Model): boolean
}

declare module 'fastify' {
  interface FastifyInstance {
    health: Health
  }
}

/**
 * Keeps two independent states per target: whether its server is up, according to inexpensive health checks that never
 * call a model, and its breaker, which requests open and close. In a cluster, one process checks for all.
 */
export default fp(
  (app, _options, done) => {
    const { of, outlook } = healthsOf(app)
    const states = new TargetStates()
    const now = (): number => performance.now()
    const othersOf = (target: Target): readonly Target[] =>
      inUse(app, app.models.find(target.model)).filter((other) => other !== target)
    const isElsewhere = (target: Target, isElse: (other: Target) => boolean): boolean =>
      othersOf(target).some((other) => isElse(other) && isUsable(other))
    const hung = new HungTargets({ now, hasOthers: (target) => othersOf(target).length > 0 })
    const isUsable = (target: Target): boolean => {
      const { breaker, cooldownMs } = of(target)
      const isOffered = breaker.state === 'closed' && cooldownMs === 0
      return isOffered && states.isUp(target) && !hung.isPassedOver(target)
    }
    const checks = serverChecks(app, (target, state) => states.set(target, state))
    const attempts = new WaitingAttempts({
      hung,
      isProbing: (target) => of(target).breaker.state !== 'closed' || of(target).misconfigured !== undefined,
      stateOf: (target) => states.of(target),
      hasAlternative: (target) => othersOf(target).some(isUsable),
      onContent: (target) => checks?.contentFrom(target),
    })
    const { loadingTimeoutMs, externalTimeoutMs } = app.config
    const loading = new LoadingServers({
      states,
      now,
      random: Math.random,
      timeoutMs: Math.min(loadingTimeoutMs, externalTimeoutMs),
      isPresent: (target) => inUse(app, app.models.find(target.model)).includes(target),
      hasAlternative: isElsewhere,
    })
    states.onChange((target, state) => {
      if (state === 'refused') attempts.moveOn(target)
      else if (state === 'up') of(target).breaker.reachable()
    })
    app.decorate('health', {
      of,
      outlook,
      attempts,
      loading,
      isUsable,
      stateOf: (target) => states.of(target),
      onState: (listener) => states.onChange(listener),
      admit: (candidates) => states.admit(candidates),
      loadingOf: (candidates) => states.loading(candidates),
      isDrained: (target) => states.isDrained(target),
      drain: (ids) => states.drain(ids),
      hasHung: () => hung.hasAny,
      isHung: (target) => hung.isPassedOver(target),
      isPanicking: (model) => states.isPanicking(inUse(app, model)),
      canServe: (model) => {
        const targets = inUse(app, model)
        if (states.isPanicking(targets)) return true
        return targets.some((target) => states.isUp(target) && of(target).standing(0) !== 'out')
      },
    } satisfies Health)
    app.models.onChange(() => {
      const present = new Set(app.models.all().flatMap(allTargets))
      states.retain(present)
      hung.retain(present)
      loading.reevaluate()
    })
    app.addHook('preClose', (closed) => {
      attempts.stop()
      loading.stop()
      closed()
    })
    done()
  },
  { name: 'health', dependencies: ['config', 'models', 'upstream', 'engines'] },
)

/** Standby targets are checked and used only if they may serve as fallback. */
function inUse(app: FastifyInstance, model: Model | undefined): readonly Target[] {
  if (!model) return []
  return app.config.useSleeping === 'fallback' ? allTargets(model) : model.targets
}

function healthsOf(app: FastifyInstance): Pick<Health, 'of' | 'outlook'> {
  const healths = new WeakMap<Target, TargetHealth>()
  const troubled = new UnhealthyTargets()
  const of = (target: Target): TargetHealth => {
    let health = healths.get(target)
    if (!health) {
      const names = { model: target.model, target: target.id }
      health = new TargetHealth({
        now: () => performance.now(),
        random: Math.random,
        onTrouble: (each) => troubled.add(each),
        onChange: (_health, change) => logChange(app.log, names, change),
      })
      healths.set(target, health)
    }
    return health
  }
  app.models.onChange(({ replaced }) => {
    for (const [target, previous] of replaced) healths.set(target, of(previous))
    troubled.retain(new Set(app.models.all().flatMap(allTargets).map(of)))
  })
  return { of, outlook: () => troubled.outlook() }
}

/** Undefined if health checks are disabled. */
function serverChecks(
  app: FastifyInstance,
  onState: (target: Target, state: CheckedState) => void,
): ServerChecks | undefined {
  if (app.config.healthIntervalMs === 0) return undefined
  const peers = healthPeers(app.primary)
  const { transportOf } = app.upstream
  const intervalMs = app.config.healthIntervalMs
  const checks = new ServerChecks({ peers, transportOf, intervalMs, log: app.log, onState })
  const cover = (): void => checks.cover(app.models.all().flatMap((model) => inUse(app, model)))
  cover()
  app.models.onChange(cover)
  app.addHook('onReady', (ready) => {
    const engines = app.engines.peer(peers)
    peers.join({
      lead: (isLeader) => {
        checks.lead(isLeader)
        engines.lead(isLeader)
      },
      learned: (server, state) => checks.learned(server, state),
      answered: (server) => checks.answered(server),
      receive: (message, router) => engines.receive(message, router),
      wake: (engine) => void engines.wake(engine).then((targets) => checks.woken(targets)),
    })
    ready()
  })
  app.addHook('preClose', (closed) => {
    checks.stop()
    closed()
  })
  return checks
}

/** Health of the targets of all models, for a request without features. */
export interface HealthSummary {
  /** Targets whose standing is not `first`. The same list is returned while its members stay the same. */
  readonly kept: readonly TargetHealth[]
  /**
   * Whether each target needs to be checked: some have another standing for requests with features, or are last and may
   * be due for a retry.
   */
  readonly isMixed: boolean
}

const well: HealthSummary = { kept: [], isMixed: false }

/** Targets with known problems. There are nearly always none, so a pick costs nothing extra. */
export class UnhealthyTargets {
  readonly #all = new Set<TargetHealth>()
  #outlook: HealthSummary = well

  add(health: TargetHealth): void {
    this.#all.add(health)
  }

  retain(present: ReadonlySet<TargetHealth>): void {
    for (const health of this.#all) if (!present.has(health)) this.#all.delete(health)
  }

  outlook(): HealthSummary {
    if (this.#all.size === 0 && this.#outlook.kept.length === 0) return well
    const { kept } = this.#outlook
    let count = 0
    let areSame = true
    let isMixed = false
    for (const health of this.#all) {
      if (health.isHealthy) {
        this.#all.delete(health)
        continue
      }
      const standing = health.standing(0)
      if (health.hasFeatureFailures || standing === 'last') isMixed = true
      if (standing !== 'first' && kept[count++] !== health) areSame = false
    }
    if (areSame && count === kept.length && isMixed === this.#outlook.isMixed) return this.#outlook
    const now = areSame && count === kept.length ? kept : this.#keptNow()
    this.#outlook = { kept: now, isMixed }
    return this.#outlook
  }

  #keptNow(): readonly TargetHealth[] {
    return [...this.#all].filter((health) => health.standing(0) !== 'first')
  }
}
