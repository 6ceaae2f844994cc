import type { History, Range, Steps } from '../../sdk/console/history.ts'
import type {
  RecentQuery,
  RecentRequest,
  RecentRequests,
  UnknownModel,
} from '../../sdk/console/recent-requests.ts'

/** Report of one process: requests that have ended since its previous report. Plain JSON. */
export interface ActivityPart {
  /** Waiting and running requests of the process. */
  readonly waiting: number
  readonly running: number
  readonly counts: Counts
  /** Times to the first token: number of streams per bucket of the histogram. */
  readonly firstContents: readonly (readonly [bucket: number, count: number])[]
  readonly targets: readonly TargetCounts[]
  readonly requests: readonly Omit<RecentRequest, 'seq'>[]
  /** Number of ended requests that are not in `requests` because there were too many. */
  readonly unlisted: number
  readonly unknown: readonly UnknownModelRequest[]
}

export interface Counts {
  requests: number
  errors: number
  client_errors: number
  client_gone: number
  prompt_tokens: number
  completion_tokens: number
}

export interface TargetCounts {
  readonly id: string
  readonly model: string
  requests: number
  errors: number
  tokens: number
  /** Sum of the times to first content of all streams, in milliseconds. */
  firstContentMs: number
  streams: number
}

/** A request for a model that does not exist, or that the client may not use. */
export interface UnknownModelRequest {
  readonly name: string
  readonly client: string | null
  readonly exists: boolean
}

/** Activity after a request of the list. */
export interface ActivityUpdates {
  newest: number
  /** Newest first. */
  data: RecentRequest[]
  /** Number of further requests that are not in `data`. */
  skipped: number
  unknown_models: UnknownModel[]
  steps: Steps
}

/** Recent activity of all processes of a router. */
export interface ActivityStore {
  history(range: Range): Promise<History>
  requests(query: RecentQuery): Promise<Omit<RecentRequests, 'as_of'>>
  /** Undefined if it is not among the last requests. */
  request(id: string): Promise<RecentRequest | undefined>
  /** Requests after this `seq`, and the last two steps of the range. */
  updates(since: number, range: Range): Promise<ActivityUpdates>
  close(): Promise<void>
}

export interface ActivityReport {
  /** Returns what has happened since the last call; undefined if nothing has. */
  take(): ActivityPart | undefined
}
