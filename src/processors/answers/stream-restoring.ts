import { applyEdits, type Edit } from '../../lib/json/splice.ts'
import { type JsonNode, memberOf, readTree, stringAt } from '../../lib/json/tree.ts'
import type { StreamContents, StreamedContents, StreamedText } from '../../sdk/content.ts'
import { JsonWriting } from '../masking/json-writing.ts'
import { TextRestorer } from '../masking/restorer.ts'
import { ChangedText } from './changed-text.ts'
import type { CitedText } from './citations.ts'
import type { Frame, Framing } from './framing.ts'
import { nodeAt, parsedEvent } from './nodes.ts'
import {
  nothingRestored,
  type Restored,
  type RestoringOptions,
  unknownIn,
  ValueRestoring,
} from './restoring.ts'

type StreamedEvent = Record<string, unknown>

interface Channel {
  readonly restorer: TextRestorer
  /** The last event with a piece of it, and the position of the piece. */
  template: StreamedEvent
  at: StreamedText
  frame: Frame
  /** The original text, kept for a proof or citations that may follow. */
  raw: string
  /** Unknown pseudonyms have been counted up to this offset. */
  counted: number
}

/**
 * Restores values in the events of a streamed response. What is held back of each text is sent at the end of that text, and before
 * the end of the response or an error.
 */
export class StreamRestoring {
  readonly #contents: StreamContents
  readonly #framing: Framing
  readonly #options: RestoringOptions
  readonly #channels = new Map<string, Channel>()
  /** Those that hold back text: a response may have tens of thousands of channels in all. */
  readonly #holding = new Map<string, Channel>()
  /** Those with text that has not been counted. */
  readonly #uncounted = new Map<string, Channel>()
  /** Number of inserted events, by which later ones are renumbered. */
  #insertedEvents = 0
  #lastNumber = -1
  readonly done: Restored = { ...nothingRestored }

  constructor(contents: StreamContents, framing: Framing, options: RestoringOptions) {
    this.#contents = contents
    this.#framing = framing
    this.#options = options
  }

  /** Accepts events in chunks of any size. Throws a RangeError for an event that is too long to be held. */
  push(text: string): string {
    let out = ''
    for (const frame of this.#framing.push(text)) out += this.#frame(frame)
    return out
  }

  /** Returns what is held back, at the end of the stream. */
  end(): string {
    const held = this.#flush([...this.#holding.keys()])
    this.#countRestored([''])
    return held + this.#framing.unfinishedText()
  }

  #frame(frame: Frame): string {
    const { before, json, after } = frame
    if (json === undefined) return (frame.isEnd ? this.#flush([...this.#holding.keys()]) : '') + before
    const event = parsedEvent(json)
    const bytes = Buffer.from(json)
    const root = event && readTree(bytes)
    if (!event || !root) return before + json + after
    const contents = this.#contents.read(event)
    const isError = event.error !== undefined && event.error !== null
    const ends = isError || event.type === 'error' ? [''] : (contents.ends ?? [])
    const channels = new Set(contents.texts.map(({ channel }) => channel))
    const groups = new Set(contents.texts.flatMap(({ group }) => (group === undefined ? [] : [group])))
    const endedBefore = [...this.#holding].filter(
      ([name, { at }]) =>
        !channels.has(name) &&
        (ends.some((end) => name.startsWith(end)) || (at.group !== undefined && groups.has(at.group))),
    )
    const held = this.#flush(endedBefore.map(([name]) => name))
    const edits = this.#edits({ bytes, root, event, contents, frame, ends })
    return held + before + applyEdits(bytes, edits).toString() + after
  }

  #edits({
    bytes,
    root,
    event,
    contents,
    frame,
    ends,
  }: {
    bytes: Buffer
    root: JsonNode
    event: StreamedEvent
    contents: StreamedContents
    frame: Frame
    ends: readonly string[]
  }): Edit[] {
    const edits: Edit[] = []
    const handled = new Set<JsonNode>()
    for (const [index, at] of contents.texts.entries()) {
      const node = nodeAt(root, at.path)
      if (node?.type !== 'string') continue
      handled.add(node)
      const text = stringAt(bytes, node)
      const channel = this.#channelOf(at, event, frame)
      channel.raw += text
      let shown = channel.restorer.push(text)
      const isLast = !contents.texts.slice(index + 1).some((later) => later.channel === at.channel)
      if (isLast && ends.some((end) => at.channel.startsWith(end))) shown += channel.restorer.flush()
      if (channel.restorer.isHolding) this.#holding.set(at.channel, channel)
      else this.#holding.delete(at.channel)
      if (shown !== text) edits.push({ start: node.start, end: node.end, text: JSON.stringify(shown) })
    }
    for (const { path, of } of contents.signatures ?? []) {
      const node = nodeAt(root, path)
      if (node?.type !== 'string') continue
      handled.add(node)
      const json =
        'channel' in of
          ? JSON.stringify(this.#channels.get(of.channel)?.raw ?? '')
          : sliceAt(bytes, root, of.path)
      const proof = stringAt(bytes, node)
      if (proof === '' || json === undefined) continue
      edits.push({
        start: node.start,
        end: node.end,
        text: JSON.stringify(this.#options.sealProof({ json, proof })),
      })
    }
    const restoring = new ValueRestoring(bytes, this.#options, handled)
    restoring.restore(root)
    if (contents.citations?.length)
      restoring.moveCitations(root, contents.citations, (name) => this.#citedText(name))
    this.#count(restoring.done)
    edits.push(...restoring.edits, ...this.#renumbered(bytes, root))
    this.#countRestored(ends)
    return edits
  }

  #citedText(channel: string | undefined): CitedText {
    if (channel === undefined) {
      const texts = [...this.#channels.values()]
      return texts.some(({ restorer }) => restorer.restorations.length > 0) ? 'unknown' : undefined
    }
    const found = this.#channels.get(channel)
    if (!found) return undefined
    const { raw, restorer } = found
    const text = new ChangedText(raw, restorer.restorations, restorer.length)
    return text.isChanged ? text : undefined
  }

  #channelOf(at: StreamedText, template: StreamedEvent, frame: Frame): Channel {
    const known = this.#channels.get(at.channel)
    if (known) {
      known.template = template
      known.at = at
      known.frame = frame
      this.#uncounted.set(at.channel, known)
      return known
    }
    const isJson = at.isJson === true || this.#options.isStructured
    const writing = isJson ? new JsonWriting() : undefined
    const channel: Channel = {
      restorer: new TextRestorer(this.#options.dictionary, writing),
      template,
      at,
      frame,
      raw: '',
      counted: 0,
    }
    this.#channels.set(at.channel, channel)
    this.#uncounted.set(at.channel, channel)
    return channel
  }

  /** Events with the held-back text of these channels. */
  #flush(names: readonly string[]): string {
    let out = ''
    for (const name of names) {
      const channel = this.#holding.get(name)
      if (!channel) continue
      this.#holding.delete(name)
      const text = channel.restorer.flush()
      const event = this.#contents.continueText(channel.template, channel.at, text)
      const { sequenceMember } = this.#contents
      if (sequenceMember !== undefined && typeof event[sequenceMember] === 'number') {
        this.#insertedEvents++
        event[sequenceMember] = ++this.#lastNumber
      }
      out += this.#framing.formatLike(channel.frame, JSON.stringify(event))
    }
    return out
  }

  #renumbered(bytes: Buffer, root: JsonNode): Edit[] {
    const { sequenceMember } = this.#contents
    const node = sequenceMember === undefined ? undefined : memberOf(root, sequenceMember)
    if (node?.type !== 'number') return []
    const number = Number(bytes.toString('latin1', node.start, node.end)) + this.#insertedEvents
    this.#lastNumber = number
    return this.#insertedEvents === 0 ? [] : [{ start: node.start, end: node.end, text: String(number) }]
  }

  #countRestored(ends: readonly string[]): void {
    if (ends.length === 0) return
    for (const [name, channel] of this.#uncounted) {
      if (!ends.some((end) => name.startsWith(end))) continue
      this.#uncounted.delete(name)
      this.done.values += channel.restorer.restored
      channel.restorer.restored = 0
      this.done.unknown += unknownIn(channel.raw.slice(channel.counted), this.#options.dictionary)
      channel.counted = channel.raw.length
    }
  }

  #count({ values, removedLogprobs, unknown, removedOffsets }: Restored): void {
    this.done.values += values
    this.done.unknown += unknown
    this.done.removedOffsets += removedOffsets
    if (removedLogprobs) this.done.removedLogprobs = true
  }
}

function sliceAt(bytes: Buffer, root: JsonNode, path: readonly (string | number)[]): string | undefined {
  const node = nodeAt(root, path)
  return node && bytes.toString('utf8', node.start, node.end)
}
