import cluster from 'node:cluster'
import fp from 'fastify-plugin'
import type { HealthTeam, HealthTeamMember } from '../core/health-team.ts'
import type { Target } from '../core/target.ts'
import { Breaker } from '../relay/breaker.ts'
import { primaryHealth } from '../stores/primary-health.ts'
import { primaryPipe } from '../stores/primary-pipe.ts'
import { ServerChecks } from './health/server-checks.ts'

declare module 'fastify' {
  interface FastifyInstance {
    health: {
      /** What the router holds of a target; the same for all models that it would serve. */
      breakerOf(target: Target): Breaker
      /** The breakers that keep their targets out now: the same list for as long as they are the same ones. */
      keepingOut(): readonly Breaker[]
    }
  }
}

/**
 * Keeps a breaker for each target, and asks the servers for a sign of life: a cheap request, never a model call. A good
 * answer ends the pause of a server that was unreachable; it says nothing for one that is there and stalls. In a cluster
 * one process asks for all.
 */
export default fp(
  (app, _options, done) => {
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
    app.decorate('health', { breakerOf, keepingOut })
    app.models.onChange(({ replaced }) => {
      for (const [target, former] of replaced) breakers.set(target, breakerOf(former))
      const present = new Set(
        app.models.all().flatMap(({ targets, sleeping }) => [...targets, ...sleeping].map(breakerOf)),
      )
      for (const breaker of troubled) if (!present.has(breaker)) troubled.delete(breaker)
    })
    if (app.config.healthIntervalMs === 0) return done()
    const team = cluster.worker ? primaryHealth(primaryPipe(cluster.worker)) : teamOfOne()
    const { transportOf } = app.upstream
    const checks = new ServerChecks({
      ...{ team, breakerOf, transportOf, log: app.log },
      intervalMs: app.config.healthIntervalMs,
    })
    const cover = (): void => checks.cover(app.models.all().flatMap(({ targets }) => targets))
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
    done()
  },
  { name: 'health', dependencies: ['config', 'models', 'upstream'] },
)

function teamOfOne(): HealthTeam {
  let member: HealthTeamMember | undefined
  return {
    join(joined) {
      member = joined
      member.duty(true)
    },
    tell: (server, state) => member?.learned(server, state),
    leave: () => undefined,
  }
}
