import { append } from '../../lib/append.ts'
import type { JsonObject } from '../../lib/json/read.ts'
import { applyEdits, type Edit } from '../../lib/json/splice.ts'
import { readTree, stringAt } from '../../lib/json/tree.ts'
import { Queue } from '../../lib/queue.ts'
import type { StreamContents, StreamEnding } from '../../sdk/content.ts'
import { movedCitations, textBetween } from './citations.ts'
import type { Frame, Framing } from './framing.ts'
import { contentsOf, type Job, judgedTogether, stringPairs } from './guarded-text.ts'
import { GuardedTexts } from './guarded-texts.ts'
import { type HeldEvent, hasPassed, type Piece } from './held-event.ts'
import { nodeAt, parsedEvent, withoutProbabilities } from './nodes.ts'

/** Maximum length of all held events, in characters. */
const maxHeldLength = 32 * 1024 * 1024

interface GuardedStreamOptions {
  readonly contents: StreamContents
  readonly framing: Framing
  readonly isStructured: boolean
  /** Called when a text that has ended was sent in a replaced form. */
  replaced(raw: string, shown: string): void
  /** Number of citations whose offsets were removed because the adjusted ones cannot be computed. */
  removedOffsets(citations: number): void
  now(): number
}

/**
 * Holds the events of a streamed response until the texts in them have been judged. Events keep their order, and none is sent before
 * the first verdict on the response.
 */
export class GuardedStream {
  readonly #options: GuardedStreamOptions
  readonly #ending: StreamEnding
  readonly #texts = new GuardedTexts()
  readonly #held = new Queue<HeldEvent>()
  /** Judged texts that later events may repeat: as generated, and as sent. */
  readonly #passed = new Map<string, string>()
  #jobs: Job[] = []
  #heldLength = 0
  #isOpen = false
  #isOver = false
  #hasSent = false
  #lastSent: JsonObject = {}

  constructor(options: GuardedStreamOptions) {
    this.#options = options
    this.#ending = options.contents.createEnding()
  }

  /** Accepts events in chunks of any size. Throws a RangeError for an event that is too long to be held. */
  push(text: string): void {
    for (const frame of this.#options.framing.push(text)) this.#holdBack(frame)
  }

  /** Ends the input. */
  end(): void {
    for (const frame of this.#options.framing.finish()) this.#holdBack(frame)
    this.#texts.end([''])
    this.#isOver = true
  }

  /** When an unfinished text must be judged; undefined if none waits. */
  get dueAt(): number | undefined {
    return this.#texts.dueAt
  }

  /** Passages that can be judged now. Call `settle` before the next call. */
  ready(): readonly Job[] {
    const jobs = [...this.#texts.jobs(this.#options.now())]
    this.#remember()
    for (const held of this.#held) {
      const found = held.wholes ? [] : this.#wholesOf(held)
      append(jobs, found)
      if (found.length > 0 || !this.#maySend(held)) break
    }
    this.#jobs = jobs
    return jobs
  }

  settle(texts: readonly string[]): void {
    for (const [index, job] of this.#jobs.entries()) job.settle(texts[index] ?? '')
    if (this.#jobs.length > 0) this.#isOpen = true
    this.#jobs = []
  }

  /** The events that may be sent. */
  take(): string {
    let out = ''
    if (!this.#isOpen && !this.#isOver) return out
    for (let head = this.#held.first; head && this.#maySend(head); head = this.#held.first) {
      this.#held.shift()
      out += this.#formatSent(head)
    }
    return out
  }

  /** Whether everything received has been sent. */
  get isDone(): boolean {
    return this.#isOver && this.#held.length === 0
  }

  /** Ends the response in place of the held events; those without content are still sent. `last`: the final event. */
  endFiltered(why: string): { text: string; last: JsonObject | undefined } {
    const { framing, contents } = this.#options
    let text = ''
    for (let head = this.#held.first; head && this.#isWithoutContent(head); head = this.#held.first) {
      this.#held.shift()
      text += this.#formatSent(head)
    }
    const template = [...this.#held].find(({ event }) => event)?.event ?? this.#lastSent
    const events = this.#ending.endFiltered(why, template)
    for (const event of events) {
      const name = contents.hasEventNames && typeof event.type === 'string' ? event.type : undefined
      text += framing.formatEvent(JSON.stringify(event), { isFirst: !this.#hasSent, name })
      this.#hasSent = true
    }
    return { text: text + (framing.close?.() ?? contents.endMark ?? ''), last: events.at(-1) }
  }

  #holdBack(frame: Frame): void {
    const { contents, now } = this.#options
    this.#heldLength += frame.before.length + (frame.json ?? '').length
    if (this.#heldLength > maxHeldLength) throw new RangeError('too much is held')
    const bytes = Buffer.from(frame.json ?? '')
    const event = frame.json === undefined ? undefined : parsedEvent(frame.json)
    const root = event && readTree(bytes)
    if (!event || !root) {
      if (frame.isEnd) this.#texts.end([''])
      const plain = { event: undefined, root: undefined, pieces: [], startedTexts: [], contents: undefined }
      this.#held.push({ frame, bytes, ...plain, wholes: [] })
      return
    }
    const read = contents.read(event)
    const groups = new Set(read.texts.flatMap(({ group }) => (group === undefined ? [] : [group])))
    const channels = new Set(read.texts.map(({ channel }) => channel))
    this.#texts.endGroups(groups, channels)
    const startedTexts = (read.begins ?? []).map((name) => this.#texts.begin(name, true))
    const pieces = read.texts.flatMap((at): Piece[] => {
      const node = nodeAt(root, at.path)
      if (node?.type !== 'string') return []
      const isWhole = at.isJson === true || at.isCall === true || this.#options.isStructured
      const text = this.#texts.begin(at.channel, isWhole, at.group)
      const start = text.raw.length
      text.add(stringAt(bytes, node), now())
      return [{ text, start, end: text.raw.length, node }]
    })
    this.#texts.end(read.ends ?? [])
    const wholes = read.whole?.length ? undefined : []
    this.#held.push({ frame, event, bytes, root, pieces, startedTexts, contents: read, wholes })
  }

  /** Values that an event carries complete. All earlier texts have passed, so repetitions are known. */
  #wholesOf(head: HeldEvent): Job[] {
    const jobs: Job[] = []
    const { root, bytes, contents } = head
    head.wholes = []
    for (const { path, shape } of contents?.whole ?? []) {
      const node = root && nodeAt(root, path)
      if (!node || node.type === 'word') continue
      const found = contentsOf(bytes.subarray(node.start, node.end), shape)
      const judged = { text: '' }
      const known = found.texts.map(
        (text) => this.#passed.get(text) ?? (text.trim() === '' ? text : undefined),
      )
      const unjudged = found.texts.filter((_text, index) => known[index] === undefined)
      const whole = {
        texts: unjudged,
        with: (texts: readonly string[]) => {
          for (const [index, text] of unjudged.entries()) this.#passed.set(text, texts[index] ?? text)
          return found.with(mergeVerdicts(known, texts))
        },
      }
      const isChanged = found.texts.some((text, index) => known[index] !== undefined && known[index] !== text)
      head.wholes.push({ node, judged: unjudged.length > 0 || isChanged ? judged : undefined })
      if (unjudged.length === 0 && isChanged) judged.text = whole.with([])
      jobs.push(
        ...judgedTogether(whole, (text) => {
          judged.text = text
        }),
      )
    }
    return jobs
  }

  /** Whether an event has no content. */
  #isWithoutContent(held: HeldEvent): boolean {
    const { pieces, startedTexts, frame } = held
    if (
      frame.isEnd ||
      startedTexts.length > 0 ||
      pieces.some(({ start, end, text }) => start < end || text.isWhole)
    )
      return false
    return held.wholes ? held.wholes.every(({ judged }) => !judged) : this.#wholesOf(held).length === 0
  }

  #maySend({ pieces, startedTexts, wholes }: HeldEvent): boolean {
    if (wholes === undefined || wholes.some(({ judged }) => judged?.text === '')) return false
    return (
      pieces.every(({ text, end }) => (text.isWhole ? hasPassed(text) : text.passed >= end)) &&
      startedTexts.every(hasPassed)
    )
  }

  #formatSent(held: HeldEvent): string {
    const { frame, event, bytes, root, pieces, wholes = [] } = held
    this.#heldLength -= frame.before.length + (frame.json ?? '').length
    if (!event || !root) return frame.before + (frame.json ?? '') + frame.after
    this.#hasSent = true
    const edits = pieces.flatMap(({ text, start, end, node }): Edit[] => {
      const shown = text.shown(start, end)
      return shown === text.raw.slice(start, end)
        ? []
        : [{ start: node.start, end: node.end, text: JSON.stringify(shown) }]
    })
    if (edits.length > 0) append(edits, withoutProbabilities(root))
    for (const { node, judged } of wholes) {
      if (!judged || judged.text === bytes.toString('utf8', node.start, node.end)) continue
      edits.push({ start: node.start, end: node.end, text: judged.text })
    }
    this.#remember()
    const replaced = applyEdits(bytes, edits)
    const moved = applyEdits(replaced, this.#movedCitations(held, replaced))
    const isSame = moved === bytes
    const json = isSame ? (frame.json ?? '') : moved.toString()
    const sent = isSame ? event : (parsedEvent(json) ?? event)
    this.#lastSent = sent
    this.#ending.observe(sent)
    return frame.before + json + frame.after
  }

  /** `replaced`: the event with its texts as sent. */
  #movedCitations({ contents, bytes, root }: HeldEvent, replaced: Buffer): Edit[] {
    const { citations = [] } = contents ?? {}
    const rootAfter = root && citations.length > 0 ? readTree(replaced) : undefined
    if (!root || !rootAfter) return []
    const { edits, removed } = movedCitations(replaced, rootAfter, citations, ({ text }) => {
      if (!text) return this.#texts.areChanged ? 'unknown' : undefined
      if ('document' in text) return undefined
      if ('path' in text) return textBetween(text.path, { bytes, root }, { bytes: replaced, root: rootAfter })
      const found = this.#texts.get(text.channel)
      return found?.isChanged ? found.changed : undefined
    })
    if (removed > 0) this.#options.removedOffsets(removed)
    return edits
  }

  /** Remembers finished texts, which later events may repeat. */
  #remember(): void {
    for (const text of this.#texts.finished()) {
      if (text.raw === '' || this.#passed.has(text.raw)) continue
      const shown = text.shown(0, text.raw.length)
      this.#passed.set(text.raw, shown)
      if (shown !== text.raw) this.#options.replaced(text.raw, shown)
      if (text.isWhole) for (const [raw, sent] of stringPairs(text.raw, shown)) this.#passed.set(raw, sent)
    }
  }
}

function mergeVerdicts(known: readonly (string | undefined)[], verdicts: readonly string[]): string[] {
  const rest = verdicts[Symbol.iterator]()
  return known.map((text) => text ?? rest.next().value ?? '')
}
