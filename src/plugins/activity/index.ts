import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { closestName } from '../../lib/did-you-mean.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { ExchangeOutcome, ExchangeRecord } from '../../relay/exchange-record.ts'
import type { RecentRequest, UnknownModel } from '../../sdk/console/recent-requests.ts'
import type { ActivityPart, ActivityStore, UnknownModelRequest } from '../../stores/activity/store.ts'
import { openActivity } from '../../stores/choose.ts'
import { recentRequest, shownName } from './recent-request.ts'
import { Tally } from './tally.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Recent activity of all processes of this router: history and last requests. */
    activity: ActivityStore
  }
}

/** How often a process reports, in milliseconds. */
const reportIntervalMs = 1_000
/** Maximum number of names per report. */
const maxUnknown = 100
/** Maximum number of listed requests per outcome and report. Nobody reads more, and describing all would be expensive at full load. */
const maxListed = 100

/** Keeps the router's recent activity for the console, in bounded memory and without Prometheus. */
export default fp(
  (app, _options, done) => {
    const tally = new Tally()
    let ended: Omit<RecentRequest, 'seq'>[] = []
    let ending: [ExchangeRecord, Exchange][] = []
    const listed = new Map<ExchangeOutcome, number>()
    let unlisted = 0
    let unknown: UnknownModelRequest[] = []
    let hadLoad = false
    const worker = cluster.worker?.id ?? 0
    app.exchanges.onStep((step) => {
      if (step.type === 'attempt-ended') tally.attemptEnded(step.attempt)
    })
    app.exchanges.onEnd((record, exchange) => {
      const name = record.error?.unknownModel
      if (name !== undefined && unknown.length < maxUnknown)
        unknown.push(unknownModelRequest(app, record, name))
      if (record.model !== undefined) tally.requestEnded(record)
      else if (name === undefined && record.operation === undefined) return
      const count = listed.get(record.outcome) ?? 0
      if (count === maxListed) {
        unlisted++
        return
      }
      listed.set(record.outcome, count + 1)
      // The attempt of a client that has disconnected ends shortly after its request.
      if (ending.push([record, exchange]) === 1) setImmediate(list)
    })
    const list = (): void => {
      for (const [record, exchange] of ending) ended.push(recentRequest(record, exchange, worker))
      ending = []
    }
    const take = (): ActivityPart | undefined => {
      list()
      const load = loadOf(app)
      const hasLoad = load.waiting > 0 || load.running > 0
      if (!hasLoad && !hadLoad && ended.length === 0 && tally.isEmpty) return undefined
      hadLoad = hasLoad
      const part = { ...load, ...tally.take(), requests: ended, unlisted, unknown }
      ended = []
      listed.clear()
      unlisted = 0
      unknown = []
      return part
    }
    const store = openActivity(app, { take }, reportIntervalMs)
    const named = (models: UnknownModel[]): UnknownModel[] =>
      models.map((model) => ({ ...model, ...suggestion(app, model) }))
    app.decorate('activity', {
      ...store,
      async requests(query) {
        const page = await store.requests(query)
        return { ...page, unknown_models: named(page.unknown_models) }
      },
      async updates(since, range) {
        const updates = await store.updates(since, range)
        return { ...updates, unknown_models: named(updates.unknown_models) }
      },
    })
    app.addHook('onClose', () => store.close())
    done()
  },
  { name: 'activity', dependencies: ['config', 'exchange', 'models', 'balancer', 'holding'] },
)

function loadOf(app: FastifyInstance): Pick<ActivityPart, 'waiting' | 'running'> {
  let [waiting, running] = [0, 0]
  for (const model of app.models.all()) {
    waiting += app.balancer.waiting(model) + app.holding.held(model)
    for (const { inFlight } of app.balancer.signals(model)) running += inFlight
  }
  return { waiting, running }
}

function unknownModelRequest(
  app: FastifyInstance,
  { client }: ExchangeRecord,
  name: string,
): UnknownModelRequest {
  return { name: shownName(name), client: client ?? null, exists: app.models.find(name) !== undefined }
}

function suggestion(
  app: FastifyInstance,
  { name, exists }: UnknownModel,
): Pick<UnknownModel, 'did_you_mean'> {
  const nearest = exists
    ? undefined
    : closestName(
        name,
        app.models.listed().map(({ alias }) => alias),
      )
  return nearest === undefined ? {} : { did_you_mean: nearest }
}
