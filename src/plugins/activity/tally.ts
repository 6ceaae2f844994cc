import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import type { AttemptRecord } from '../../relay/steps.ts'
import type { Target } from '../../sdk/target.ts'
import type { ActivityPart, Counts, TargetCounts } from '../../stores/activity/store.ts'
import { TimeHistogram } from '../../stores/activity/time-histogram.ts'

/** Requests ended in this process since the last report. */
export class Tally {
  #counts = noCounts()
  readonly #firstContents = new TimeHistogram()
  readonly #targets = new Map<Target, TargetCounts>()

  get isEmpty(): boolean {
    return this.#counts.requests === 0 && this.#targets.size === 0
  }

  /** A request for a model has ended. */
  requestEnded({ outcome, usage, stream, firstContentMs }: ExchangeRecord): void {
    const counts = this.#counts
    counts.requests++
    if (outcome === 'error' || outcome === 'truncated') counts.errors++
    else if (outcome === 'client_error') counts.client_errors++
    else if (outcome === 'client_gone') counts.client_gone++
    counts.prompt_tokens += usage?.promptTokens ?? 0
    counts.completion_tokens += usage?.completionTokens ?? 0
    if (stream && firstContentMs !== undefined)
      this.#firstContents.add(TimeHistogram.bucketOf(firstContentMs), 1)
  }

  attemptEnded({ target, result }: AttemptRecord): void {
    if (result === undefined || (result.type === 'failure' && result.verdict === 'nothing')) return
    let counts = this.#targets.get(target)
    if (!counts) {
      const { id, model } = target
      counts = { id, model, requests: 0, errors: 0, tokens: 0, firstContentMs: 0, streams: 0 }
      this.#targets.set(target, counts)
    }
    counts.requests++
    if (result.type === 'failure') {
      counts.errors++
      return
    }
    counts.tokens += result.usage?.completionTokens ?? 0
    if (!result.streamed || result.firstContentMs === undefined) return
    counts.streams++
    counts.firstContentMs += result.firstContentMs
  }

  take(): Pick<ActivityPart, 'counts' | 'firstContents' | 'targets'> {
    const part = {
      counts: this.#counts,
      firstContents: this.#firstContents.nonEmptyBuckets(),
      targets: [...this.#targets.values()],
    }
    this.#counts = noCounts()
    this.#firstContents.clear()
    this.#targets.clear()
    return part
  }
}

function noCounts(): Counts {
  return {
    requests: 0,
    errors: 0,
    client_errors: 0,
    client_gone: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
  }
}
