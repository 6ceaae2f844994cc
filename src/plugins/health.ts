import cluster from 'node:cluster'
import fp from 'fastify-plugin'
import type { HealthTeam, HealthTeamMember } from '../core/health-team.ts'
import type { Target } from '../core/target.ts'
import { primaryHealth } from '../stores/primary-health.ts'
import { primaryPipe } from '../stores/primary-pipe.ts'
import { logChange } from './health/log-change.ts'
import { ServerChecks } from './health/server-checks.ts'
import { TargetHealth } from './health/target-health.ts'
import { type Outlook, Troubled } from './health/troubled.ts'

declare module 'fastify' {
  interface FastifyInstance {
    health: {
      /** What the router holds of a target; the same for all models that it would serve. */
      of(target: Target): TargetHealth
      /** How the targets stand as a whole, for a pick that need not look at each of them. */
      outlook(): Outlook
    }
  }
}

/**
 * Keeps the health of each target, and asks the servers for a sign of life: a cheap request, never a model call. In a
 * cluster one process asks for all.
 */
export default fp(
  (app, _options, done) => {
    const healths = new WeakMap<Target, TargetHealth>()
    const troubled = new Troubled()
    const healthOf = (target: Target): TargetHealth => {
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
    app.decorate('health', { of: healthOf, outlook: () => troubled.outlook() })
    app.models.onChange(({ replaced }) => {
      for (const [target, former] of replaced) healths.set(target, healthOf(former))
      const present = app.models.all().flatMap(({ targets, sleeping }) => [...targets, ...sleeping])
      troubled.retain(new Set(present.map(healthOf)))
    })
    if (app.config.healthIntervalMs === 0) return done()
    const team = cluster.worker ? primaryHealth(primaryPipe(cluster.worker)) : teamOfOne()
    const { transportOf } = app.upstream
    const checks = new ServerChecks({
      ...{ team, healthOf, transportOf, log: app.log },
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
