import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type Problem, severities } from '../../sdk/console/problems.ts'
import type { UnknownModel } from '../../sdk/console/recent-requests.ts'
import type { Status } from '../../sdk/console/status.ts'
import { modelProblems } from './model-problems.ts'
import { certificateEnds, routerProblems, unknownModelProblems, workerProblems } from './router-problems.ts'
import { targetProblems } from './target-problems.ts'

declare module 'fastify' {
  interface FastifyInstance {
    problems: {
      /** Current problems, worst first. `unknown`: requested models that do not exist. */
      of(status: Status, unknown: readonly UnknownModel[]): Problem[]
    }
  }
}

/** Interval of background checks, which record when problems begin, in milliseconds. */
const checkIntervalMs = 5_000
/** A problem not seen for this long has ended, in milliseconds. */
const forgetMs = 3 * checkIntervalMs
/** How long overload is reported after it ended, in milliseconds. */
const shedMs = 60_000

/** Problems of the router in words, with instructions. */
export default fp(
  (app, _options, done) => {
    const firstSeen = new FirstSeen(() => Date.now())
    const certificates = certificateEnds()
    const shed = recentlyShed(app)
    const find = (status: Status, unknown: readonly UnknownModel[]): Problem[] => {
      const { models, workers } = status
      const queueSize = app.config.queueSize * Math.max(1, workers.length)
      const found = [
        ...routerProblems(app, shed()),
        ...workerProblems(status),
        ...modelProblems(models, queueSize),
        ...targetProblems(models),
        ...certificates(app),
        ...unknownModelProblems(unknown),
      ]
      return found.map((problem) => ({ ...problem, since: problem.since ?? firstSeen.of(problem.id) }))
    }
    const timer = setInterval(() => void find(app.status.read(), []), checkIntervalMs).unref()
    app.addHook('preClose', (closed) => {
      clearInterval(timer)
      closed()
    })
    app.decorate('problems', {
      of: (status, unknown) => find(status, unknown).toSorted(worseFirst),
    })
    done()
  },
  {
    name: 'problems',
    dependencies: [
      'config',
      'reload',
      'models',
      'status',
      'budgets',
      'directory',
      'overrides',
      'shedding',
      'drain',
    ],
  },
)

function worseFirst(a: Problem, b: Problem): number {
  const difference = severities.indexOf(a.severity) - severities.indexOf(b.severity)
  if (difference !== 0) return difference
  // A failing model is more relevant than each of its servers.
  return rank(a) - rank(b) || (a.since ?? '').localeCompare(b.since ?? '') || a.id.localeCompare(b.id)
}

function rank({ code, subject }: Problem): number {
  if (code === 'unknown_model') return 3
  return ['router', 'model', 'target'].indexOf(subject.type)
}

/** When each problem was first seen. */
class FirstSeen {
  readonly #now: () => number
  readonly #known = new Map<string, { since: string; seenAt: number }>()

  /** `now`: milliseconds since 1970. */
  constructor(now: () => number) {
    this.#now = now
  }

  of(id: string): string {
    const now = this.#now()
    for (const [each, { seenAt }] of this.#known) if (now - seenAt > forgetMs) this.#known.delete(each)
    const { since } = this.#known.get(id) ?? { since: new Date(now).toISOString() }
    this.#known.set(id, { since, seenAt: now })
    return since
  }
}

function recentlyShed(app: FastifyInstance): () => boolean {
  let count = 0
  let at = Number.NEGATIVE_INFINITY
  return () => {
    const { event_loop: eventLoop, heap } = app.shedding.counts
    const now = performance.now()
    if (eventLoop + heap > count) at = now
    count = eventLoop + heap
    return now - at < shedMs
  }
}
