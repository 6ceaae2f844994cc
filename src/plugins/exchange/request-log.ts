import type { FastifyBaseLogger } from 'fastify'
import { symbols } from 'pino'
import type { ExchangeRecord } from '../../relay/exchange.ts'

/** pino's internal fragments of a JSON log line. */
interface LineParts {
  /** By level, including the opening brace. */
  [symbols.lsCacheSym]: Record<number, string>
  /** The members that every line has. */
  [symbols.chindingsSym]: string
  /** Numeric value of the logger's minimum level. */
  levelVal: number
  [symbols.writeSym](record: ExchangeRecord, message: string, level: number): void
  [symbols.asJsonSym](record: ExchangeRecord, message: string, level: number, time: string): string
}

/** pino's levels: https://github.com/pinojs/pino/blob/main/docs/api.md#loggerlevels-object */
const levelOfInfo = 30
const levelOfWarnings = 40

/**
 * Writes one log line per finished request. Contains no prompts, responses or keys, and only the code of an error's
 * cause. The JSON is assembled here from constant fragments: pino inspects each member and takes four times as long.
 */
export function requestLog(log: FastifyBaseLogger): (record: ExchangeRecord) => void {
  const lines = log.child({}) as FastifyBaseLogger & LineParts
  lines[symbols.asJsonSym] = function (this: LineParts, record, message, level, time) {
    const head = `${this[symbols.lsCacheSym][level]}${time}${this[symbols.chindingsSym]}`
    return `${head}${membersOf(record)},"msg":${quoted(message)}}\n`
  }
  return (record) => {
    const failed = record.outcome === 'error' || record.outcome === 'truncated'
    const level = failed ? levelOfWarnings : levelOfInfo
    if (lines.levelVal <= level) lines[symbols.writeSym](record, 'request', level)
  }
}

/** Each member is preceded by a comma. */
function membersOf(record: ExchangeRecord): string {
  const { trace, client, model, answeringModel, target, usage, firstContentMs } = record
  let line = `,"request_id":"${record.id}"`
  if (trace) line += `,"trace_id":"${trace.traceId}","span_id":"${trace.spanId}"`
  line += `,"method":"${record.method}","endpoint":${quoted(record.endpoint)},"status":${record.status}`
  line += `,"outcome":"${record.outcome}","duration_ms":${tenths(record.durationMs)}`
  if (record.dialect !== undefined) line += `,"dialect":${quoted(record.dialect)}`
  if (client !== undefined) line += `,"client":${quoted(client)}`
  if (model !== undefined) line += `,"model":${quoted(model)}`
  if (answeringModel !== undefined) line += `,"answered_by":${quoted(answeringModel)}`
  if (target !== undefined) line += `,"target":${quoted(target)}`
  if (record.providerType !== undefined) line += `,"provider_type":${quoted(record.providerType)}`
  if (model !== undefined) line += `,"stream":${record.stream}`
  if (record.attempts > 1) line += `,"attempts":${record.attempts}`
  if (firstContentMs !== undefined) line += `,"first_content_ms":${tenths(firstContentMs)}`
  if (usage) line += `,"prompt_tokens":${usage.promptTokens},"completion_tokens":${usage.completionTokens}`
  return line + problemMembersOf(record)
}

function problemMembersOf({ dropped, error }: ExchangeRecord): string {
  let line = ''
  if (dropped.length > 0) line += `,"lost":${JSON.stringify(dropped)}`
  if (!error) return line
  const { kind, message, quotesUpstream, upstreamText, code, causeCode } = error
  if (kind !== 'client_gone' && !quotesUpstream) line += `,"error":${JSON.stringify(message)}`
  if (code !== undefined) line += `,"error_code":${JSON.stringify(code)}`
  if (causeCode !== undefined) line += `,"error_cause":${JSON.stringify(causeCode)}`
  if (upstreamText !== undefined) line += `,"upstream_text":${JSON.stringify(upstreamText)}`
  return line
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}

/** Cache of names of routes, models and targets as JSON strings: they are few and recur constantly. */
const texts = new Map<string, string>()
const maxTexts = 10_000

function quoted(name: string): string {
  const known = texts.get(name)
  if (known !== undefined) return known
  const text = JSON.stringify(name)
  if (texts.size === maxTexts) texts.clear()
  texts.set(name, text)
  return text
}
