import { isObject, type JsonObject, parseJson } from '../../lib/json/read.ts'
import { applyEdits, scanObject, setMembers } from '../../lib/json/splice.ts'
import { cachedUsage, holdsMoreThanChat, type KeptAnswer } from '../../processors/cache/kept-answer.ts'
import { ClientAnswerContext } from '../../relay/answer/answer-context.ts'
import type { ChatClient } from '../../relay/answer/client-stream.ts'
import { replayAsStream } from '../../relay/answer/whole-answer.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import type { ChatResponse } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'

/** Whether the answer can be given in the form that is asked for. */
export function fitsForm(answer: KeptAnswer, { stream }: Pick<ClientRequest, 'stream'>): boolean {
  return answer.whole === undefined || !stream || !holdsMoreThanChat(parseJson(answer.whole))
}

/**
 * Gives an answer again, in the form that its client asks for, with an id and a date of its own. It goes the way of a fresh one:
 * what is done to answers on the way to their clients is done to it too.
 */
export function replay(
  answer: KeptAnswer,
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

/** Without what belongs to the answer that was kept: its id, its date and its times. */
function renewed({ chat: kept, whole, usage }: KeptAnswer, { chat: codec }: Dialect): ChatResponse {
  const chat = kept ?? codec.readResponse(parseJson(whole ?? ''))
  const { id: _id, created: _created, timings: _timings, usage: said, ...rest } = chat
  const counted = usage ?? said
  return { ...rest, ...(counted ? { usage: cachedUsage(counted) } : {}) }
}

/** Members that say when, by whom and at which cost an answer was made. */
const renewedMembers = [
  ...['id', 'responseId', 'model', 'modelVersion', 'created', 'created_at', 'usage', 'usageMetadata'],
  ...['total_duration', 'load_duration', 'prompt_eval_duration', 'eval_duration', 'stats'],
]

/** A kept answer without how long it took. */
export function withoutTimes(whole: string): Buffer {
  return renewedWhole(whole, {})
}

/** The kept bytes with these members as they are written now. */
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
