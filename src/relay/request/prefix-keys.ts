import type { ByteRange, JsonScan, Member } from '../../lib/json/splice.ts'
import { closeBrace, closeBracket } from '../../lib/json/splice.ts'
import { RollingHash } from '../../lib/rolling-hash.ts'
import type { PrefixKey } from '../../sdk/strategy.ts'

/** Long messages get one key per block of this many bytes. */
const blockBytes = 4096
/** Approximate bytes of JSON per token, for chats in English and code. */
export const bytesPerToken = 4
/** A string of at least this length without spaces and escapes is an image or another file. */
const mediaBytes = 16 * 1024
/** Approximate number of tokens of an image. */
const mediaTokens = 1_000

/** Members that contain the prompt, in the order of chat templates: the messages come last. */
export type PromptMembers = readonly string[]

/**
 * Keys of a prompt's prefixes: one at the end of each member before the messages, one per message, and one per 4 KiB
 * within a message. Equal bytes give equal keys in every process; the order of members in the body, and other members, do
 * not matter. Nothing is parsed: the scan already found the ranges.
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

/** `null`, `[]`, `{}`, `""`: chat templates treat empty members like absent ones. */
function isEmpty({ valueStart, valueEnd }: Member): boolean {
  return valueEnd - valueStart <= 4
}

class KeyWriter {
  readonly keys: PrefixKey[] = []
  readonly #bytes: Buffer
  readonly #scan: JsonScan
  /** In the order of their starts. */
  readonly #media: readonly ByteRange[]
  readonly #mediaStarts: readonly number[]
  readonly #hash: RollingHash
  #tokens = 0

  constructor(bytes: Buffer, scan: JsonScan) {
    this.#bytes = bytes
    this.#scan = scan
    this.#hash = new RollingHash(bytes)
    this.#media = scan.long.filter((range) => isMedia(bytes, range))
    this.#mediaStarts = this.#media.map(({ start }) => start)
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

  /** One range per message; one range in total if they are not a list of objects. */
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
    for (let index = firstAfter(this.#mediaStarts, start - 1); ; index++) {
      const media = this.#media[index]
      if (media === undefined || media.end > end) break
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
    // A remainder of less than half a block gets no key: the key of the whole range follows.
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

function isMedia(bytes: Buffer, { start, end }: ByteRange): boolean {
  if (end - start < mediaBytes) return false
  const from = (start + end) >> 1
  for (let at = from; at < from + mediaSample; at++) {
    const byte = bytes[at] ?? 0
    if (byte <= 0x20 || byte === 0x5c || byte >= 0x7f) return false
  }
  return true
}

/** Maximum offset of the billing line in the system prompt. */
const noticeWithin = 256

/**
 * Range of Claude Code's billing line for Anthropic in a system prompt, if present: it contains a nonce, which would give every
 * request a new prefix.
 */
function billingNotice(bytes: Buffer, start: number, end: number): ByteRange | undefined {
  const head = bytes.toString('latin1', start, Math.min(end, start + noticeWithin))
  const at = head.indexOf('x-anthropic-billing-header:')
  if (at === -1) return undefined
  const from = start + at
  const line = bytes.toString('latin1', from, Math.min(end, from + 1024))
  const length = /\\n|"/.exec(line)?.index ?? line.length
  return { start: from, end: from + length }
}

/**
 * End of a message without the prompt-caching mark of its last part: clients move the mark to the newest message
 * in each turn, and engines do not see it.
 */
function cacheMark(bytes: Buffer, start: number, end: number): number | undefined {
  const isLike =
    bytes[end - 2] === closeBracket && bytes[end - 3] === closeBrace && bytes[end - 4] === closeBrace
  if (!isLike) return undefined
  const from = Math.max(start, end - 96)
  const at = bytes.toString('latin1', from, end).lastIndexOf(',"cache_control":{')
  return at === -1 ? undefined : from + at
}

/** Index of the first of the sorted offsets that is greater. */
function firstAfter(offsets: readonly number[], at: number): number {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((offsets[middle] ?? 0) > at) high = middle
    else low = middle + 1
  }
  return low
}
