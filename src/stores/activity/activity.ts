import { type History, type Range, rangeNames, ranges, type Steps } from '../../sdk/console/history.ts'
import type {
  RecentQuery,
  RecentRequest,
  RecentRequests,
  UnknownModel,
} from '../../sdk/console/recent-requests.ts'
import { RequestList } from './request-list.ts'
import { StepRing, StepSums } from './step-ring.ts'
import type {
  ActivityPart,
  ActivityReport,
  ActivityStore,
  ActivityUpdates,
  UnknownModelRequest,
} from './store.ts'
import { TargetSeries } from './target-series.ts'

/** Maximum number of requests per event. */
const maxUpdates = 50

/** Recent activity of a router: history, last requests and requested unknown models. Uses bounded memory. */
export class Activity {
  readonly #now: () => number
  readonly #startedAt: number
  readonly #rings: Readonly<Record<Range, StepRing>> = {
    '15m': ring('15m'),
    '1h': ring('1h'),
    '6h': ring('6h'),
  }
  readonly #targets = new TargetSeries()
  readonly #requests = new RequestList()
  readonly #unknown = new UnknownModels()
  /** Last reported load of each process. */
  readonly #loads = new Map<string, Pick<ActivityPart, 'waiting' | 'running'>>()

  /** `now`: milliseconds since 1970. */
  constructor(now: () => number) {
    this.#now = now
    this.#startedAt = now()
  }

  /** Adds a report. `from`: id of the reporting process. */
  add(part: ActivityPart, from: string): void {
    const at = this.#now()
    this.#loads.set(from, { waiting: part.waiting, running: part.running })
    const loads = [...this.#loads.values()]
    const waiting = loads.reduce((sum, load) => sum + load.waiting, 0)
    const running = loads.reduce((sum, load) => sum + load.running, 0)
    for (const range of rangeNames) {
      const sums = this.#rings[range].sumsAt(at)
      sums?.add(part)
      sums?.recordLoad(waiting, running)
    }
    for (const counts of part.targets) this.#targets.add(counts, at)
    this.#requests.skip(part.unlisted)
    for (const request of part.requests) this.#requests.add(request)
    for (const request of part.unknown) this.#unknown.add(request, new Date(at).toISOString())
  }

  /** To be called when a process has exited. */
  exited(from: string): void {
    this.#loads.delete(from)
  }

  history(range: Range): History {
    const { sparkMs, sparks, steps } = ranges[range]
    const at = this.#now()
    return {
      ...this.#steps(range, steps, at),
      started_at: new Date(this.#startedAt).toISOString(),
      spark: { step_seconds: sparkMs / 1000, steps: sparks },
      targets: this.#targets.view(range, at),
    }
  }

  requests(query: RecentQuery): Omit<RecentRequests, 'as_of'> {
    return { ...this.#requests.page(query), unknown_models: this.#unknown.all() }
  }

  request(id: string): RecentRequest | undefined {
    return this.#requests.find(id)
  }

  updates(since: number, range: Range): ActivityUpdates {
    const { newest, data } = this.#requests.page({ since, limit: maxUpdates })
    const skipped = Math.max(0, newest - since - data.length)
    const steps = this.#steps(range, 2, this.#now())
    return { newest, data, skipped, unknown_models: this.#unknown.all(), steps }
  }

  #steps(range: Range, count: number, at: number): Steps {
    const { stepMs, steps: all } = ranges[range]
    const ring = this.#rings[range]
    const { steps, fromMs } = ring.last(count, at)
    const total = new StepSums()
    for (const sums of ring.last(all, at).steps) if (sums) total.addStep(sums)
    const counts = (of: (sums: StepSums) => number): number[] => steps.map((sums) => (sums ? of(sums) : 0))
    const quantiles = (share: number): (number | null)[] =>
      steps.map((sums) => sums?.firstContents.quantile(share) ?? null)
    return {
      range,
      step_seconds: stepMs / 1000,
      from: new Date(fromMs).toISOString(),
      as_of: new Date(at).toISOString(),
      requests: counts((sums) => sums.counts.requests),
      errors: counts((sums) => sums.counts.errors),
      client_errors: counts((sums) => sums.counts.client_errors),
      client_gone: counts((sums) => sums.counts.client_gone),
      prompt_tokens: counts((sums) => sums.counts.prompt_tokens),
      completion_tokens: counts((sums) => sums.counts.completion_tokens),
      ttft_p50_ms: quantiles(0.5),
      ttft_p95_ms: quantiles(0.95),
      queue: counts(({ queue }) => queue),
      running: counts(({ running }) => running),
      totals: {
        ...total.counts,
        ttft_p50_ms: total.firstContents.quantile(0.5),
        ttft_p95_ms: total.firstContents.quantile(0.95),
        queue_max: total.queue,
      },
    }
  }
}

function ring(range: Range): StepRing {
  return new StepRing(ranges[range].stepMs, ranges[range].steps)
}

const maxNames = 100
const maxClients = 5

/** The latest unknown model names that clients requested. */
class UnknownModels {
  readonly #byName = new Map<string, UnknownModel>()

  add({ name, client, exists }: UnknownModelRequest, at: string): void {
    const model = this.#byName.get(name) ?? { name, count: 0, first: at, last: at, clients: [], exists }
    model.count++
    model.last = at
    model.exists = exists
    if (client !== null && !model.clients.includes(client) && model.clients.length < maxClients)
      model.clients.push(client)
    // The map is ordered by last request.
    this.#byName.delete(name)
    this.#byName.set(name, model)
    const [oldest] = this.#byName.keys()
    if (this.#byName.size > maxNames && oldest !== undefined) this.#byName.delete(oldest)
  }

  /** Latest first. */
  all(): UnknownModel[] {
    return [...this.#byName.values()].reverse()
  }
}

/** The activity of a single-process router. */
export function memoryActivity(report: ActivityReport, intervalMs: number, now: () => number): ActivityStore {
  const activity = new Activity(now)
  const sendReport = (): void => {
    const part = report.take()
    if (part) activity.add(part, '')
  }
  const timer = setInterval(sendReport, intervalMs).unref()
  const current = (): Activity => {
    sendReport()
    return activity
  }
  return {
    history: async (range) => current().history(range),
    requests: async (query) => current().requests(query),
    request: async (id) => current().request(id),
    updates: async (since, range) => current().updates(since, range),
    async close() {
      clearInterval(timer)
    },
  }
}
