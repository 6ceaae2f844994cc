import { parseCarried } from '../../lib/json/exact.ts'
import { isObject, type JsonObject, parseJson } from '../../lib/json/read.ts'
import { applyEdits, scanObject, setMembers } from '../../lib/json/splice.ts'
import { type CachedAnswer, cachedUsage, holdsMoreThanChat } from '../../processors/cache/cached-answer.ts'
import { ClientAnswerContext } from '../../relay/answer/answer-context.ts'
import type { ChatClient } from '../../relay/answer/client-stream.ts'
import { replayAsStream } from '../../relay/answer/whole-answer.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import type { ChatResponse } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'

/** Whether an entry can be sent in the requested form, streamed or not. */
export function fitsForm(answer: CachedAnswer, { stream }: Pick<ClientRequest, 'stream'>): boolean {
  return answer.whole === undefined || !stream || !holdsMoreThanChat(parseJson(answer.whole))
}

/** Sends an entry in the requested form, with a new id and date. It passes the response processors like a new response. */
export function replay(
  answer: CachedAnswer,
  request: ClientRequest,
  client: ChatClient,
  exchange: Exchange,
): void {
  const { dialect, stream } = request
  const context = new ClientAnswerContext(request, exchange)
  const chat = renewed(answer, dialect)
  if (stream) {
    const text = replayAsStream(chat, dialect.chat, context)
    const end = client.stream()
    end.commit()
    end.write(text)
    end.end()
    return
  }
  const written = dialect.chat.writeResponse(chat, context)
  client.whole(answer.whole === undefined ? JSON.stringify(written) : renewedWhole(answer.whole, written))
}

/** The response without its id, date and durations. */
function renewed({ chat: kept, whole, usage }: CachedAnswer, { chat: codec }: Dialect): ChatResponse {
  const chat = kept ?? codec.readResponse(parseCarried(whole ?? 'null'))
  const { id: _id, created: _created, timings: _timings, usage: reportedUsage, ...rest } = chat
  const counted = usage ?? reportedUsage
  return { ...rest, ...(counted ? { usage: cachedUsage(counted) } : {}) }
}

/** Members with identity, date, model, usage and durations of a response. */
const renewedMembers = [
  'id',
  'responseId',
  'model',
  'modelVersion',
  'created',
  'created_at',
  'usage',
  'usageMetadata',
  'total_duration',
  'load_duration',
  'prompt_eval_duration',
  'eval_duration',
  'stats',
]

/** A stored response without its durations. */
export function withoutTimes(whole: string): Buffer {
  return renewedWhole(whole, {})
}

/** The stored bytes with new values for these members. */
function renewedWhole(whole: string, written: JsonObject): Buffer {
  const bytes = Buffer.from(whole)
  const scan = scanObject(bytes)
  if (!scan || !isObject(written)) return bytes
  const members = Object.fromEntries(
    renewedMembers.filter((name) => written[name] !== undefined).map((name) => [name, written[name]]),
  )
  const stale = renewedMembers.filter((name) => name.endsWith('_duration') && written[name] === undefined)
  return applyEdits(bytes, setMembers(scan, members, new Set([...stale, 'timings', 'createTime'])))
}
