import type { FastifyBaseLogger } from 'fastify'
import { tenths } from '../../lib/numbers.ts'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'

/**
 * Writes one log line per finished request. Contains no prompts, responses or keys, and only the code of an error's
 * cause.
 */
export function requestLog(log: FastifyBaseLogger): (record: ExchangeRecord) => void {
  return (record) => {
    const failed = record.outcome === 'error' || record.outcome === 'truncated'
    if (failed) log.warn(fieldsOf(record), 'request')
    else log.info(fieldsOf(record), 'request')
  }
}

/** Undefined fields are omitted from the line. */
function fieldsOf(record: ExchangeRecord): Record<string, unknown> {
  const { trace, model, usage, dropped, firstContentMs } = record
  return {
    request_id: record.id,
    trace_id: trace?.traceId,
    span_id: trace?.spanId,
    method: record.method,
    endpoint: record.endpoint,
    status: record.status,
    outcome: record.outcome,
    duration_ms: tenths(record.durationMs),
    dialect: record.dialect,
    client: record.client,
    model,
    auto: record.auto?.by,
    answered_by: record.answeringModel,
    target: record.target,
    provider_type: record.providerType,
    stream: model === undefined ? undefined : record.stream,
    attempts: record.attempts > 1 ? record.attempts : undefined,
    reason: record.reason,
    first_content_ms: firstContentMs === undefined ? undefined : tenths(firstContentMs),
    prompt_tokens: usage?.promptTokens,
    completion_tokens: usage?.completionTokens,
    dropped: dropped.length > 0 ? dropped : undefined,
    unknown_finish_reason: record.unknownReason,
    processors: record.processed?.steps.map(({ processor, on, outcome, values }) => ({
      processor,
      ...(on && { on }),
      outcome,
      values,
    })),
    restored: record.processed?.restored || undefined,
    cache: record.cache,
    ...errorFields(record),
  }
}

function errorFields({ error }: ExchangeRecord): Record<string, unknown> {
  if (!error) return {}
  const { kind, message, quotesUpstream, upstreamText, code, causeCode } = error
  return {
    error: kind === 'client_gone' || quotesUpstream ? undefined : message,
    error_code: code,
    error_cause: causeCode,
    upstream_text: upstreamText,
  }
}
