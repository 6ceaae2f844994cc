import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import type { History, Range } from '../../sdk/console/history.ts'
import type { RecentQuery, RecentRequest, RecentRequests } from '../../sdk/console/recent-requests.ts'
import { Activity } from './activity.ts'
import type { ActivityPart, ActivityReport, ActivityStore, ActivityUpdates } from './store.ts'

/** From a worker: it is ready to report. */
const join = topic('activity.join')
/** From a worker: what has happened since its last report. */
const add = topic<ActivityPart>('activity.add', { afterExit: true })
/** To each worker: requests a report. */
const reportNow = topic('activity.report', { timeoutMs: 500 })
/** From a worker; the timeout is longer than that of `report`. */
const queryOptions = { timeoutMs: 2_000 }
const history = topic<Range, History>('activity.history', queryOptions)
const requests = topic<RecentQuery, Omit<RecentRequests, 'as_of'>>('activity.requests', queryOptions)
const request = topic<string, RecentRequest | null>('activity.request', queryOptions)
const updates = topic<{ since: number; range: Range }, ActivityUpdates>('activity.news', queryOptions)

/** The worker's side: reports to the primary at an interval, and queries the activity of all workers. */
export function clusterActivity(primary: Channel, report: ActivityReport, intervalMs: number): ActivityStore {
  // Messages arrive in order, so the report precedes its acknowledgement.
  const sendReport = (): void => {
    const part = report.take()
    if (part) primary.cast(add, part)
  }
  primary.on(reportNow, sendReport)
  primary.cast(join)
  const timer = setInterval(sendReport, intervalMs).unref()
  return {
    history: (range) => primary.request(history, range),
    requests: (query) => primary.request(requests, query),
    request: async (id) => (await primary.request(request, id)) ?? undefined,
    updates: (since, range) => primary.request(updates, { since, range }),
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
    Promise.allSettled([...living].map((worker) => worker.request(reportNow)))
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
  workers.on(updates, async ({ since, range }) => {
    await collectReports()
    return activity.updates(since, range)
  })
}
