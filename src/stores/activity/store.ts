import type { History, Range, Steps } from '../../sdk/console/history.ts'
import type {
  RecentQuery,
  RecentRequest,
  RecentRequests,
  UnknownModel,
} from '../../sdk/console/recent-requests.ts'

/** What has ended in one process since its last report. Plain JSON. */
export interface ActivityPart {
  /** Requests of the process that wait for a target, and those that targets work on. */
  readonly waiting: number
  readonly running: number
  readonly counts: Counts
  /** Times to the first token: number of streams by bucket of the histogram. */
  readonly firstContents: readonly (readonly [bucket: number, count: number])[]
  readonly targets: readonly TargetCounts[]
  readonly requests: readonly Omit<RecentRequest, 'seq'>[]
  /** Requests that were left out of `requests`, because there were too many. */
  readonly unlisted: number
  readonly unknown: readonly UnknownAsked[]
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
  /** Sum over the streams that began, in milliseconds. */
  firstContentMs: number
  streams: number
}

/** A request for a model that does not exist for its client. */
export interface UnknownAsked {
  readonly name: string
  readonly client: string | null
  readonly exists: boolean
}

/** What has come since a listener was last told. */
export interface ActivityNews {
  newest: number
  /** Newest first. */
  data: RecentRequest[]
  /** Further ones that are not in `data`. */
  skipped: number
  unknown_models: UnknownModel[]
  steps: Steps
}

/** The recent past of all processes of a router. */
export interface ActivityStore {
  history(range: Range): Promise<History>
  requests(query: RecentQuery): Promise<Omit<RecentRequests, 'as_of'>>
  /** Undefined: it is not among the last ones. */
  request(id: string): Promise<RecentRequest | undefined>
  /** What is newer than the request with this `seq`, and the last two steps of the range. */
  news(since: number, range: Range): Promise<ActivityNews>
  close(): Promise<void>
}
