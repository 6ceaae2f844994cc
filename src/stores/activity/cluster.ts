import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import type { History, Range } from '../../sdk/console/history.ts'
import type { RecentQuery, RecentRequest, RecentRequests } from '../../sdk/console/recent-requests.ts'
import { Activity } from './activity.ts'
import type { ActivityNews, ActivityPart, ActivityStore } from './store.ts'

/** From a worker: it is ready to report. */
const join = topic('activity.join')
/** From a worker: what has happened since its last report. */
const add = topic<ActivityPart>('activity.add', { afterExit: true })
/** To each worker: requests a report. */
const report = topic('activity.report', { timeoutMs: 500 })
/** From a worker; the timeout is longer than that of `report`. */
const queryOptions = { timeoutMs: 2_000 }
const history = topic<Range, History>('activity.history', queryOptions)
const requests = topic<RecentQuery, Omit<RecentRequests, 'as_of'>>('activity.requests', queryOptions)
const request = topic<string, RecentRequest | null>('activity.request', queryOptions)
const news = topic<{ since: number; range: Range }, ActivityNews>('activity.news', queryOptions)

export interface ActivityReport {
  /** Returns what has happened since the last call; undefined if nothing has. */
  take(): ActivityPart | undefined
}

/** The worker's side: reports to the primary at an interval, and queries the activity of all workers. */
export function clusterActivity(primary: Channel, own: ActivityReport, everyMs: number): ActivityStore {
  // Messages arrive in order, so the report precedes its acknowledgement.
  const sendReport = (): void => {
    const part = own.take()
    if (part) primary.cast(add, part)
  }
  primary.on(report, sendReport)
  primary.cast(join)
  const timer = setInterval(sendReport, everyMs).unref()
  return {
    history: (range) => primary.request(history, range),
    requests: (query) => primary.request(requests, query),
    request: async (id) => (await primary.request(request, id)) ?? undefined,
    news: (since, range) => primary.request(news, { since, range }),
    async close() {
      clearInterval(timer)
      sendReport()
    },
  }
}

/** The primary's side: keeps the activity of all workers, which outlives them. */
export function serveActivity(workers: WorkerChannels, now: () => number): void {
  const activity = new Activity(now)
  const living = new Set<Channel>()
  workers.on(add, (part, worker) => activity.add(part, worker.id))
  workers.on(join, (_, worker) => void living.add(worker))
  workers.onExit((worker) => living.delete(worker))
  workers.onDrained(({ id }) => activity.exited(id))
  /** Requests reports; a worker that is too busy is included with its last one. */
  const collectReports = (): Promise<unknown> =>
    Promise.allSettled([...living].map((worker) => worker.request(report)))
  workers.on(history, async (range) => {
    await collectReports()
    return activity.history(range)
  })
  workers.on(requests, async (query) => {
    await collectReports()
    return activity.requests(query)
  })
  workers.on(request, async (id) => {
    await collectReports()
    return activity.request(id) ?? null
  })
  workers.on(news, async ({ since, range }) => {
    await collectReports()
    return activity.news(since, range)
  })
}

/** The activity of a single-process router. */
export function ownActivity(own: ActivityReport, everyMs: number, now: () => number): ActivityStore {
  const activity = new Activity(now)
  const sendReport = (): void => {
    const part = own.take()
    if (part) activity.add(part, '')
  }
  const timer = setInterval(sendReport, everyMs).unref()
  const current = (): Activity => {
    sendReport()
    return activity
  }
  return {
    history: async (range) => current().history(range),
    requests: async (query) => current().requests(query),
    request: async (id) => current().request(id),
    news: async (since, range) => current().news(since, range),
    async close() {
      clearInterval(timer)
    },
  }
}
