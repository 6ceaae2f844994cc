import type { JsonScan, Member, Place } from '../../lib/json/splice.ts'
import { closeBrace, closeBracket } from '../../lib/json/splice.ts'
import { RollingHash } from '../../lib/rolling-hash.ts'
import type { PrefixKey } from '../../sdk/strategy.ts'

/** Long messages get a key each time that so many bytes are full. */
const blockBytes = 4096
/** Bytes of JSON per token, about what chats in English and code come to. */
export const bytesPerToken = 4
/** From here on a string that has neither space nor escape is an image or another file. */
const mediaBytes = 16 * 1024
/** What engines make of an image, roughly. */
const mediaTokens = 1_000

/** Where a dialect keeps the prompt: members in the order in which chat templates write them, the messages last. */
export type PromptMembers = readonly string[]

/**
 * Keys of a prompt's beginnings: one where each member before the messages ends, one for each message, and one for each 4 KiB
 * within. Equal bytes give equal keys in every process; the order of the members in the body, and what stands beside them, does
 * not matter. Nothing is parsed: the scan has found the ranges.
 */
export function prefixKeys(bytes: Buffer, scan: JsonScan, names: PromptMembers): readonly PrefixKey[] {
  const writer = new KeyWriter(bytes, scan)
  const messages = names.at(-1)
  for (const name of names) {
    const member = scan.members.find(({ key }) => key === name)
    if (!member || isEmpty(member)) continue
    if (name === messages) writer.addMessages(member)
    else writer.addMember(member)
  }
  return writer.keys
}

/** `null`, `[]`, `{}`, `""`: absent and empty members are the same to a template. */
function isEmpty({ valueStart, valueEnd }: Member): boolean {
  return valueEnd - valueStart <= 4
}

class KeyWriter {
  readonly keys: PrefixKey[] = []
  readonly #bytes: Buffer
  readonly #scan: JsonScan
  readonly #media: readonly Place[]
  readonly #hash: RollingHash
  #tokens = 0

  constructor(bytes: Buffer, scan: JsonScan) {
    this.#bytes = bytes
    this.#scan = scan
    this.#hash = new RollingHash(bytes)
    this.#media = scan.long.filter((place) => isMedia(bytes, place))
  }

  addMember({ valueStart, valueEnd }: Member): void {
    const notice = billingNotice(this.#bytes, valueStart, valueEnd)
    if (notice) {
      this.#hash.add(valueStart, notice.start)
      this.#addRange(notice.end, valueEnd)
    } else {
      this.#addRange(valueStart, valueEnd)
    }
  }

  /** One range for each message; one for all where they are no list of objects. */
  addMessages({ valueStart, valueEnd }: Member): void {
    const { ends } = this.#scan
    let index = firstAfter(ends, valueStart)
    let start = valueStart + 1
    let end = ends[index]
    if (end === undefined || end > valueEnd) {
      this.#addRange(valueStart, valueEnd)
      return
    }
    while (end !== undefined && end < valueEnd) {
      this.#addRange(start, end)
      start = end
      end = ends[++index]
    }
  }

  #addRange(start: number, end: number): void {
    const mark = cacheMark(this.#bytes, start, end)
    let at = start
    for (const media of this.#media) {
      if (media.start < at || media.end > end) continue
      this.#addText(at, media.start)
      this.#hash.addSampled(media.start, media.end)
      this.#tokens += mediaTokens
      at = media.end
    }
    this.#addText(at, mark ?? end)
    this.#push()
  }

  #addText(start: number, end: number): void {
    let at = start
    // A rest of less than half a block gets no key of its own: the one of the whole range follows.
    while (end - at > 1.5 * blockBytes) {
      this.#hash.add(at, at + blockBytes, start)
      this.#tokens += blockBytes / bytesPerToken
      at += blockBytes
      this.#push()
    }
    this.#hash.add(at, end, start)
    this.#tokens += (end - at) / bytesPerToken
  }

  #push(): void {
    this.keys.push({ key: this.#hash.key(), tokens: Math.ceil(this.#tokens) })
  }
}

const mediaSample = 64

function isMedia(bytes: Buffer, { start, end }: Place): boolean {
  if (end - start < mediaBytes) return false
  const from = (start + end) >> 1
  for (let at = from; at < from + mediaSample; at++) {
    const byte = bytes[at] ?? 0
    if (byte <= 0x20 || byte === 0x5c || byte >= 0x7f) return false
  }
  return true
}

/** How far into the system prompt the notice may begin. */
const noticeWithin = 256

/**
 * Where Claude Code's line for Anthropic's billing stands in a system prompt, if it does: it has a nonce, and would make every
 * request the first of its kind.
 */
function billingNotice(bytes: Buffer, start: number, end: number): Place | undefined {
  const head = bytes.toString('latin1', start, Math.min(end, start + noticeWithin))
  const at = head.indexOf('x-anthropic-billing-header:')
  if (at === -1) return undefined
  const from = start + at
  const line = bytes.toString('latin1', from, Math.min(end, from + 1024))
  const length = /\\n|"/.exec(line)?.index ?? line.length
  return { start: from, end: from + length }
}

/**
 * Where a message ends without the mark for prompt caching that its last part may carry: clients move it to the newest message
 * each turn, and engines do not see it.
 */
function cacheMark(bytes: Buffer, start: number, end: number): number | undefined {
  const isLike =
    bytes[end - 2] === closeBracket && bytes[end - 3] === closeBrace && bytes[end - 4] === closeBrace
  if (!isLike) return undefined
  const from = Math.max(start, end - 96)
  const at = bytes.toString('latin1', from, end).lastIndexOf(',"cache_control":{')
  return at === -1 ? undefined : from + at
}

function firstAfter(ends: readonly number[], at: number): number {
  let low = 0
  let high = ends.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ends[middle] ?? 0) > at) high = middle
    else low = middle + 1
  }
  return low
}
