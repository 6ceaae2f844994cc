import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import type { Usage } from '../../sdk/chat.ts'
import type { UsageRow } from '../../stores/database/tables.ts'
import { quarterMs } from '../../stores/usage/sums.ts'
import { bytesPerStreamedToken, writtenPerSecond } from '../auth/limit-use.ts'

/**
 * Usage of a request: one row for the target that was tried last, and one for each other target that worked for it.
 * Empty for requests without client or model. `now`: milliseconds since 1970.
 */
export function usageOf(record: ExchangeRecord, now: number): UsageRow[] {
  const { client, key = '', model: requestedModel, answeringModel, target = '', work, outcome } = record
  if (client === undefined || requestedModel === undefined) return []
  const model = answeringModel ?? requestedModel
  const period = Math.floor(now / quarterMs) * quarterMs
  const usage = estimated(record)
  const blank = (of: string, at: string): UsageRow => ({
    period,
    client,
    client_key: key,
    model: of,
    target: at,
    requests: 0,
    errors: 0,
    prompt_tokens: 0,
    cached_tokens: 0,
    completion_tokens: 0,
    reasoning_tokens: 0,
    busy_ms: 0,
    cost: 0,
  })
  const main: UsageRow = {
    ...blank(model, target),
    requests: 1,
    errors: outcome === 'success' || outcome === 'client_gone' ? 0 : 1,
    prompt_tokens: usage?.promptTokens ?? 0,
    cached_tokens: usage?.cachedTokens ?? 0,
    completion_tokens: usage?.completionTokens ?? 0,
    reasoning_tokens: usage?.reasoningTokens ?? 0,
  }
  const rows = [main]
  for (const each of work) {
    const row = each.target === target && each.model === model ? main : blank(each.model, each.target)
    row.busy_ms += each.busyMs
    if (row !== main) rows.push(row)
  }
  return rows
}

/**
 * Truncated responses rarely have an upstream count, so they are estimated: otherwise a client that always disconnects would use
 * nothing.
 */
function estimated(record: ExchangeRecord): Usage | undefined {
  const { usage, stream, firstContentMs, sinceSentMs } = record
  const { responseBytes, isCut } = cutOf(record)
  if (!isCut || sinceSentMs === undefined || (usage && !stream)) return usage
  const { prompt, maxCompletion } = record.estimatedTokens()
  const streamed = firstContentMs === undefined ? 0 : responseBytes / bytesPerStreamedToken
  // The progress of a whole response is unknown.
  const written = stream ? streamed : (sinceSentMs * writtenPerSecond) / 1000
  return {
    ...usage,
    promptTokens: usage?.promptTokens || prompt,
    completionTokens: Math.max(usage?.completionTokens ?? 0, Math.ceil(Math.min(written, maxCompletion))),
  }
}

/** Whether a response was truncated, and how much of it had arrived. */
function cutOf({ outcome, firstContentMs, processed, responseBytes }: ExchangeRecord): {
  isCut: boolean
  responseBytes: number
} {
  // The client has received less of a blocked response than was generated.
  if (processed?.cutBytes !== undefined) return { isCut: true, responseBytes: processed.cutBytes }
  const isCut = outcome === 'client_gone' || (outcome === 'truncated' && firstContentMs !== undefined)
  return { isCut, responseBytes }
}
