import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { CheckedState, HealthTeam, HealthTeamMember } from '../core/health-team.ts'
import type { Model, Target } from '../core/target.ts'
import type { AttemptWatch } from '../relay/attempt-watch.ts'
import { Breaker } from '../relay/breaker.ts'
import type { Loading } from '../relay/loading-wait.ts'
import { primaryHealth } from '../stores/primary-health.ts'
import { primaryPipe } from '../stores/primary-pipe.ts'
import { HungTargets } from './health/hung-targets.ts'
import { LoadingServers } from './health/loading-servers.ts'
import { ServerChecks } from './health/server-checks.ts'
import { type Candidates, TargetStates } from './health/target-states.ts'
import { WaitingAttempts } from './health/waiting-attempts.ts'

export interface Health {
  /** What the router holds of a target; the same for all models that it would serve. */
  breakerOf(target: Target): Breaker
  /** The breakers that keep their targets out now: the same list for as long as they are the same ones. */
  keepingOut(): readonly Breaker[]
  /** What the health checks say of a target's server; set and ended by them, as the breaker is by requests. */
  stateOf(target: Target): CheckedState
  /** Calls back with each change of what `stateOf` says. */
  onState(listener: (target: Target, state: CheckedState) => void): void
  /** Hears of every attempt, and ends those that wait for nothing. */
  attempts: AttemptWatch
  /** The wait for servers that load their models. */
  loading: Loading
  /** Without those that do not begin their answers, unless none else is left. */
  responsive<Candidate extends { target: Target }>(left: Candidates<Candidate>): Candidates<Candidate>
  /** Whether a target takes requests and does not begin its answers. */
  isHung(target: Target): boolean
  /** Those of a model's targets that may be picked, as far as the health checks say. */
  admit: TargetStates['admit']
  /** Whether a target gets requests now, other than a probe. */
  isUsable(target: Target): boolean
  /** Whether a model's targets are all down, and some are used nevertheless because only their checks time out. */
  isPanicking(model: Model): boolean
  /** Whether a request for the model would be sent to a target, if only as a probe. */
  canServe(model: Model): boolean
}

declare module 'fastify' {
  interface FastifyInstance {
    health: Health
  }
}

/**
 * Keeps two states of each target that do not overrule each other: whether its server is up, which cheap health checks
 * say, never a model call; and its breaker, which requests open and close. In a cluster one process checks for all.
 */
export default fp(
  (app, _options, done) => {
    const { breakerOf, keepingOut } = breakersOf(app)
    const states = new TargetStates()
    const now = (): number => performance.now()
    const othersOf = (target: Target): readonly Target[] => {
      const model = app.models.find(target.model)
      return model ? inUse(app, model).filter((other) => other !== target) : []
    }
    const hung = new HungTargets({ now, hasOthers: (target) => othersOf(target).length > 0 })
    const isUsable = (target: Target): boolean => {
      const { state, resting } = breakerOf(target)
      const isClosed = state === 'closed' && resting === undefined
      return isClosed && states.isUp(target) && !hung.isPassedOver(target)
    }
    const checks = serverChecks(app, (target, state) => states.set(target, state))
    const attempts = new WaitingAttempts({
      hung,
      isProbing: (target) => breakerOf(target).state !== 'closed',
      stateOf: (target) => states.of(target),
      hasAlternative: (target) => othersOf(target).some(isUsable),
      onContent: (target) => checks?.contentFrom(target),
    })
    const { loadingTimeoutMs, externalTimeoutMs } = app.config
    const loading = new LoadingServers({
      ...{ states, now, random: Math.random },
      timeoutMs: Math.min(loadingTimeoutMs, externalTimeoutMs),
      hasAlternative: (target) => othersOf(target).some(isUsable),
    })
    states.onChange((target, state) => {
      if (state === 'refused') attempts.moveOn(target)
    })
    app.decorate('health', {
      ...{ breakerOf, keepingOut, attempts, loading, isUsable },
      stateOf: (target) => states.of(target),
      onState: (listener) => states.onChange(listener),
      admit: (candidates) => states.admit(candidates),
      responsive: (left) => responsive(left, hung),
      isHung: (target) => hung.isPassedOver(target),
      isPanicking: (model) => states.isPanicking(inUse(app, model)),
      canServe: (model) => {
        const targets = inUse(app, model)
        if (states.isPanicking(targets)) return true
        return targets.some((target) => states.isUp(target) && breakerOf(target).available)
      },
    } satisfies Health)
    app.models.onChange(() => {
      const present = new Set(allTargets(app))
      states.retain(present)
      hung.retain(present)
    })
    app.addHook('preClose', (closed) => {
      attempts.stop()
      loading.stop()
      closed()
    })
    done()
  },
  { name: 'health', dependencies: ['config', 'models', 'upstream'] },
)

function responsive<Candidate extends { target: Target }>(
  left: Candidates<Candidate>,
  hung: HungTargets,
): Candidates<Candidate> {
  if (!hung.hasAny) return left
  const answers = ({ target }: Candidate): boolean => !hung.isPassedOver(target)
  const active = left.active.filter(answers)
  const reserve = left.reserve.filter(answers)
  return active.length + reserve.length > 0 ? { active, reserve } : left
}

/** Parked targets are checked, and used, only where they may stand in. */
function inUse(app: FastifyInstance, { targets, sleeping }: Model): readonly Target[] {
  return app.config.useSleeping === 'fallback' ? [...targets, ...sleeping] : targets
}

function allTargets(app: FastifyInstance): Target[] {
  return app.models.all().flatMap(({ targets, sleeping }) => [...targets, ...sleeping])
}

function breakersOf(app: FastifyInstance): Pick<Health, 'breakerOf' | 'keepingOut'> {
  const breakers = new WeakMap<Target, Breaker>()
  const troubled = new Set<Breaker>()
  const environment = {
    now: () => performance.now(),
    random: Math.random,
    onTrouble: (breaker: Breaker) => troubled.add(breaker),
  }
  const breakerOf = (target: Target): Breaker => {
    let breaker = breakers.get(target)
    if (!breaker) {
      breaker = new Breaker(environment)
      breakers.set(target, breaker)
    }
    return breaker
  }
  let keptOut: readonly Breaker[] = []
  const keepingOut = (): readonly Breaker[] => {
    let count = 0
    let areSame = true
    for (const breaker of troubled) {
      if (breaker.isWell) troubled.delete(breaker)
      if (!breaker.available && keptOut[count++] !== breaker) areSame = false
    }
    if (!areSame || count !== keptOut.length) keptOut = [...troubled].filter(({ available }) => !available)
    return keptOut
  }
  app.models.onChange(({ replaced }) => {
    for (const [target, former] of replaced) breakers.set(target, breakerOf(former))
    const present = new Set(allTargets(app).map(breakerOf))
    for (const breaker of troubled) if (!present.has(breaker)) troubled.delete(breaker)
  })
  return { breakerOf, keepingOut }
}

/** Undefined where checks are turned off. */
function serverChecks(
  app: FastifyInstance,
  onState: (target: Target, state: CheckedState) => void,
): ServerChecks | undefined {
  if (app.config.healthIntervalMs === 0) return undefined
  const team = cluster.worker ? primaryHealth(primaryPipe(cluster.worker)) : teamOfOne()
  const { transportOf } = app.upstream
  const intervalMs = app.config.healthIntervalMs
  const checks = new ServerChecks({ team, transportOf, intervalMs, log: app.log, onState })
  const cover = (): void => checks.cover(app.models.all().flatMap((model) => inUse(app, model)))
  cover()
  app.models.onChange(cover)
  app.addHook('onReady', (ready) => {
    team.join(checks)
    ready()
  })
  app.addHook('preClose', (closed) => {
    checks.stop()
    closed()
  })
  return checks
}

function teamOfOne(): HealthTeam {
  let member: HealthTeamMember | undefined
  return {
    join(joined) {
      member = joined
      member.duty(true)
    },
    tell: (server, state) => member?.learned(server, state),
    answered: (server) => member?.answered(server),
    leave: () => undefined,
  }
}
