import { lastEventEnd, nextEventEnd, readEvent } from '../../lib/bytes/sse-search.ts'
import { scanObject } from '../../lib/json/splice.ts'
import type { Usage } from '../../sdk/chat.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { readCounts } from './answer-read.ts'
import { isEmptyList, isQuoted, isWholeField, valueAfter } from './stream-bytes.ts'
import { parseEvent } from './stream-event.ts'

const doneMark = Buffer.from('[DONE]')
const dataField = Buffer.from('data:')
const eventField = Buffer.from('event:')
const errorWord = Buffer.from('error')
const choicesKey = Buffer.from('"choices"')
const closeBrace = 0x7d
const letterN = 0x6e
const letterF = 0x66

/** Where the end marker's event begins and ends. */
export function findDone(bytes: Buffer): { start: number; end: number } | undefined {
  for (let at = bytes.indexOf(doneMark); at !== -1; at = bytes.indexOf(doneMark, at + 1)) {
    if (!isWholeField(bytes, dataField, at, at + doneMark.length)) continue
    return { start: lastEventEnd(bytes, at), end: nextEventEnd(bytes, at) }
  }
  return undefined
}

/** The first event that reports an error; the word alone, in a text or beside `null`, is none. */
export function findError(bytes: Buffer): { start: number; error: RouterError } | undefined {
  let at = bytes.indexOf(errorWord)
  while (at !== -1) {
    const behind = at + errorWord.length
    if (!mayReportError(bytes, at, behind)) {
      at = bytes.indexOf(errorWord, behind)
      continue
    }
    const start = lastEventEnd(bytes, at)
    const end = nextEventEnd(bytes, at)
    const sent = readEvent(bytes.subarray(start, end))
    const event = sent && parseEvent(sent)
    if (event?.type === 'error') return { start, error: event.error }
    at = bytes.indexOf(errorWord, end)
  }
  return undefined
}

/** A key whose value is neither null nor false, a value (`"object":"error"`), or the name of an event. */
function mayReportError(bytes: Buffer, at: number, behind: number): boolean {
  if (!isQuoted(bytes, at, behind)) return isWholeField(bytes, eventField, at, behind)
  const value = valueAfter(bytes, behind + 1)
  return value === undefined || (bytes[value] !== letterN && bytes[value] !== letterF)
}

/** Whether a chunk has no choices, as the one with the token counts. */
export function hasEmptyChoices(event: Buffer): boolean {
  const at = event.indexOf(choicesKey)
  const value = at === -1 ? undefined : valueAfter(event, at + choicesKey.length)
  return value !== undefined && isEmptyList(event, value)
}

/** The object that these bytes begin with; it may have been cut. */
export function readUsageObject(bytes: Buffer): Usage | undefined {
  const last = scanObject(bytes)?.members.at(-1)
  if (!last) return undefined
  const end = bytes.indexOf(closeBrace, last.valueEnd) + 1
  try {
    return readCounts(JSON.parse(bytes.toString('utf8', 0, end)))
  } catch {
    return undefined // no counts are better than wrong ones
  }
}

/** What the end of the stream left, as a whole event, if it holds one; some servers leave out the last empty line. */
export function completedEvent(tail: Buffer): Buffer | undefined {
  const sent = readEvent(tail)
  const event = sent && parseEvent(sent)
  if (!event || event.type === 'broken' || event.type === 'nothing') return undefined
  return Buffer.concat([tail, Buffer.from(tail.at(-1) === 0x0a ? '\n' : '\n\n')])
}
