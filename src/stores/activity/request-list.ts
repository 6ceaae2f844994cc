import type { RecentQuery, RecentRequest, RecentRequests } from '../../sdk/console/recent-requests.ts'

/** Maximum number of stored requests. */
const maxRequests = 1_000

/** The last requests that are listed, in constant memory. */
export class RequestList {
  readonly #slots: RecentRequest[] = []
  #listed = 0
  #newest = 0

  /** `seq` of the newest request; 0 if there is none. */
  get newest(): number {
    return this.#newest
  }

  /** Numbers the request. */
  add(request: Omit<RecentRequest, 'seq'>): void {
    this.#slots[this.#listed++ % maxRequests] = Object.assign(request, { seq: ++this.#newest })
  }

  /** Skips numbers for ended requests that are not in the list. */
  skip(count: number): void {
    this.#newest += count
  }

  find(id: string): RecentRequest | undefined {
    for (const request of this.#newestFirst()) if (request.id === id) return request
    return undefined
  }

  page(query: RecentQuery): Pick<RecentRequests, 'newest' | 'data' | 'next_cursor'> {
    const { since = 0, cursor = Number.POSITIVE_INFINITY, limit } = query
    const data: RecentRequest[] = []
    for (const request of this.#newestFirst()) {
      if (request.seq <= since) break
      if (request.seq >= cursor || !matches(request, query)) continue
      if (data.length === limit) return { newest: this.#newest, data, next_cursor: String(data.at(-1)?.seq) }
      data.push(request)
    }
    return { newest: this.#newest, data }
  }

  *#newestFirst(): Generator<RecentRequest> {
    for (let back = 1; back <= this.#slots.length; back++) {
      const request = this.#slots[(this.#listed - back) % maxRequests]
      if (request) yield request
    }
  }
}

function matches(request: RecentRequest, query: RecentQuery): boolean {
  const { client, model, target, status, outcome, unknown_model: isUnknown } = query
  if (client !== undefined && request.client !== client) return false
  if (model !== undefined && ![request.model, request.asked, request.answered_by].includes(model))
    return false
  if (target !== undefined && !request.attempts.some((attempt) => attempt.target === target)) return false
  if (outcome !== undefined && request.outcome !== outcome) return false
  if (isUnknown !== undefined && (request.asked !== undefined) !== isUnknown) return false
  return status === undefined || matchesStatus(request.status, status)
}

/** `pattern`: a status such as `429`, or a class such as `4xx`. */
function matchesStatus(status: number, pattern: string): boolean {
  return pattern.endsWith('xx') ? String(status).startsWith(pattern.charAt(0)) : String(status) === pattern
}
