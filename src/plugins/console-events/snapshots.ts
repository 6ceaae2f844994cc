import type { FastifyInstance } from 'fastify'
import { type Range, ranges } from '../../sdk/console/history.ts'
import { type Status, type StatusDelta, withoutAddresses } from '../../sdk/console/status.ts'
import { StatusDeltas } from './status-deltas.ts'

/** One event, serialized once for all its recipients. */
export interface ConsoleEvent {
  readonly name: string
  /** For recipients who may see addresses, and for others. */
  readonly operator: string
  readonly viewer: string
  /** Only for listeners of this range. */
  readonly range?: Range
}

/**
 * The state known to all listeners, and the changes in each interval. Reads everything once, however many listeners there are.
 */
export class Snapshots {
  readonly #app: FastifyInstance
  readonly #deltas = new StatusDeltas()
  #newest: number | undefined
  #problems = ''
  #unknown = ''
  readonly #steps = new Map<Range, string>()
  readonly #sparks = new Map<Range, number>()

  constructor(app: FastifyInstance) {
    this.#app = app
  }

  /** The full state for a new listener. Call after the first `news`. */
  async whole(range: Range): Promise<ConsoleEvent[]> {
    const status = this.#deltas.whole
    if (!status) return []
    const history = await this.#app.activity.history(range)
    return [
      event('status', status, withoutAddresses(status)),
      plainEvent('problems', this.#problems),
      event('requests', {
        newest: this.#newest ?? 0,
        data: [],
        skipped: 0,
        unknown_models: parsed(this.#unknown),
      }),
      { ...event('history', history), range },
    ]
  }

  /** Changes since the last call; the first call reads the initial state. `wanted`: ranges that have listeners. */
  async news(wanted: readonly Range[]): Promise<ConsoleEvent[]> {
    const { activity } = this.#app
    const isFirst = this.#newest === undefined
    const [status, ...news] = await Promise.all([
      this.#app.status.readAll(),
      ...wanted.map((range) => activity.updates(this.#newest ?? Number.MAX_SAFE_INTEGER, range)),
    ])
    const events: ConsoleEvent[] = []
    const delta = this.#deltas.next(status)
    if (delta) events.push(event('delta', delta, withoutAddressesIn(delta)))
    const [first] = news
    if (first) {
      events.push(...this.#requests(first))
      events.push(...this.#problemsOf(status, first.unknown_models))
    }
    for (const [index, range] of wanted.entries()) {
      const steps = news[index]?.steps
      if (steps) events.push(...(await this.#history(range, steps)))
    }
    return isFirst ? [] : events
  }

  #requests({ newest, data, skipped, unknown_models: unknown }: News): ConsoleEvent[] {
    const isNew = newest > (this.#newest ?? newest)
    this.#newest = newest
    const text = JSON.stringify(unknown)
    const changed = text !== this.#unknown
    this.#unknown = text
    if (!isNew && !changed) return []
    return [event('requests', { newest, data, skipped, ...(changed ? { unknown_models: unknown } : {}) })]
  }

  #problemsOf(status: Status, unknown: News['unknown_models']): ConsoleEvent[] {
    const problems = this.#app.problems.of(status, unknown)
    const before: unknown = this.#problems === '' ? undefined : parsed(this.#problems)
    const text = JSON.stringify({ as_of: new Date().toISOString(), problems })
    const isSame = JSON.stringify(Object(before).problems) === JSON.stringify(problems)
    if (isSame) return []
    this.#problems = text
    return [plainEvent('problems', text)]
  }

  /** The latest steps; all of them after a step of the targets' series has ended. */
  async #history(range: Range, steps: News['steps']): Promise<ConsoleEvent[]> {
    const { as_of: _now, ...rest } = steps
    const text = JSON.stringify(rest)
    const isSame = text === this.#steps.get(range)
    this.#steps.set(range, text)
    const spark = Math.floor(Date.now() / ranges[range].sparkMs)
    const isOver = (this.#sparks.get(range) ?? spark) !== spark
    this.#sparks.set(range, spark)
    if (isOver) return [{ ...event('history', await this.#app.activity.history(range)), range }]
    return isSame ? [] : [{ ...event('step', steps), range }]
  }
}

type News = Awaited<ReturnType<FastifyInstance['activity']['updates']>>

function event(name: string, operator: object, viewer = operator): ConsoleEvent {
  const text = JSON.stringify(operator)
  return { name, operator: text, viewer: viewer === operator ? text : JSON.stringify(viewer) }
}

function plainEvent(name: string, text: string): ConsoleEvent {
  return { name, operator: text, viewer: text }
}

function parsed(text: string): unknown {
  return text === '' ? [] : JSON.parse(text)
}

function withoutAddressesIn(delta: StatusDelta): StatusDelta {
  return {
    ...delta,
    models: delta.models.map((model) =>
      model.targets
        ? { ...model, targets: model.targets.map(({ address: _address, host: _host, ...target }) => target) }
        : model,
    ),
  }
}
