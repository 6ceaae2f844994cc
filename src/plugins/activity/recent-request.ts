import { tenths } from '../../lib/numbers.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import type { TimedAttempt } from '../../relay/timeline.ts'
import { errorWords, safeCodeOf } from '../../sdk/console/error-words.ts'
import type { RecentRequest, RequestAttempt } from '../../sdk/console/recent-requests.ts'
import type { RouterError } from '../../sdk/errors.ts'

const maxTextLength = 300
/** Further attempts are omitted: a text endpoint may make hundreds of calls. */
const maxAttempts = 32

/** An ended request without its prompt and response. */
export function recentRequest(
  record: ExchangeRecord,
  exchange: Pick<Exchange, 'timeline' | 'reasons' | 'startedAt' | 'elapsedMs'>,
  worker: number,
): Omit<RecentRequest, 'seq'> {
  const { usage, error, dropped, stream, firstContentMs, durationMs, outcome } = record
  const { timeline, startedAt } = exchange
  const texts = exchange.reasons.all()
  const request: Omit<RecentRequest, 'seq'> = {
    id: record.id,
    at: new Date(Date.now() - exchange.elapsedMs()).toISOString(),
    duration_ms: tenths(durationMs),
    client: record.client ?? null,
    model: record.model ?? null,
    dialect: record.dialect ?? null,
    operation: record.operation ?? null,
    method: record.method,
    endpoint: record.endpoint,
    stream,
    target: record.target ?? null,
    reason: record.reason ?? null,
    queue_ms: tenths(timeline.queueMs),
    ttft_ms: stream && firstContentMs !== undefined ? tenths(firstContentMs) : null,
    prompt_tokens: usage?.promptTokens ?? null,
    completion_tokens: usage?.completionTokens ?? null,
    cached_tokens: usage?.cachedTokens ?? null,
    tokens_per_second: stream ? speedOf(record) : null,
    status: record.status,
    outcome,
    attempts: timeline.attempts
      .slice(0, maxAttempts)
      .map((attempt, index) => shownAttempt(attempt, texts[index], { startedAt, durationMs })),
    worker,
  }
  if (error?.unknownModel !== undefined) request.asked = shownName(error.unknownModel)
  if (record.answeringModel !== undefined) request.answered_by = record.answeringModel
  if (error && outcome !== 'success') request.error = shownError(error)
  if (dropped.length > 0) request.dropped = [...dropped]
  return request
}

function shownAttempt(
  { target, startedAt, queueMs, end, firstContentMs }: TimedAttempt,
  reason: string | undefined,
  request: { startedAt: number; durationMs: number },
): RequestAttempt {
  const attempt: RequestAttempt = {
    target: target.id,
    model: target.model,
    type: target.type.name,
    reason: reason ? reason : null,
    start_ms: Math.max(0, tenths(startedAt - request.startedAt)),
    queue_ms: tenths(queueMs),
    ttft_ms: firstContentMs === undefined ? null : tenths(firstContentMs),
    // The end of a stream is detected shortly after its last byte.
    end_ms: end ? Math.max(0, tenths(Math.min(end.at - request.startedAt, request.durationMs))) : null,
    outcome: end?.outcome ?? 'cancelled',
  }
  if (end?.error) attempt.error = shownError(end.error)
  return attempt
}

/** Tokens per second after the first token of a stream; null if unknown. */
function speedOf({ usage, firstContentMs, durationMs }: ExchangeRecord): number | null {
  const tokens = usage?.completionTokens ?? 0
  const ms = durationMs - (firstContentMs ?? durationMs)
  return tokens < 2 || ms < 1 ? null : tenths(((tokens - 1) * 1000) / ms)
}

/** Omits texts of the upstream, as the log does: they may quote a prompt. */
function shownError(error: RouterError): { code: string; text: string } {
  const { kind, message, quotesUpstream } = error
  const code = safeCodeOf(error)
  const words = errorWords(code)
  const text = words === code && kind !== 'client_gone' && !quotesUpstream ? message : words
  return { code, text: text.slice(0, maxTextLength) }
}

/** A name as a client sent it, made safe to show. */
export function shownName(name: string): string {
  const safe = name.replaceAll(/[\p{Cc}\p{Cf}]/gu, '?')
  return safe.length > 128 ? `${safe.slice(0, 127)}…` : safe
}
