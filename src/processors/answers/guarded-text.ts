import type { ContentShape } from '../../sdk/content.ts'
import { BodyContents } from '../contents/body-contents.ts'
import { ChangedText } from './changed-text.ts'
import { contextLength, type Passage, windowEnds } from './windows.ts'

/** A passage to judge, and the handler of its verdict. */
export interface Job extends Passage {
  settle(text: string): void
}

interface Replacement {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** A text of a streamed response, of which only judged parts are sent. */
export class GuardedText {
  /** Judged as a whole: tool arguments or structured output. */
  readonly isWhole: boolean
  /** The text generated so far. */
  raw = ''
  /** Length of the part that has passed. */
  passed = 0
  /** Arrival of the first character that has not been judged; undefined if there is none. */
  waitsSince: number | undefined
  isEnded = false
  readonly #replacements: Replacement[] = []

  constructor(isWhole: boolean) {
    this.isWhole = isWhole
  }

  get isChanged(): boolean {
    return this.#replacements.length > 0
  }

  /** The text with its replacements, as far as it has passed. */
  get changed(): ChangedText {
    const changes = this.#replacements.flatMap(({ start, end, text }) =>
      ChangedText.between(this.raw.slice(start, end), text).changes.map((change) => ({
        ...change,
        start: change.start + start,
        end: change.end + start,
      })),
    )
    return new ChangedText(this.raw, changes, this.passed)
  }

  add(text: string, now: number): void {
    this.isEnded = false
    if (text !== '') this.waitsSince ??= now
    this.raw += text
  }

  /** Passages that can be judged now. `isDue`: the text has waited for the maximum time. */
  *jobs(now: number, isDue: boolean): Generator<Job> {
    const { raw, passed } = this
    if (this.isWhole) {
      if (this.isEnded && raw.length > passed) yield* this.#wholeJobs(raw.slice(passed))
      return
    }
    let from = passed
    for (const end of windowEnds(raw.slice(passed), this.isEnded || isDue)) {
      const [start, until] = [from, passed + end]
      const text = raw.slice(start, until)
      this.waitsSince = until === raw.length ? undefined : now
      const before = this.shown(Math.max(0, start - contextLength), start)
      from = until
      if (text.trim() === '') this.#pass(start, until, text)
      else yield { text, before, settle: (judged) => this.#pass(start, until, judged) }
    }
  }

  /** A part of the text as sent; a replacement belongs to the part in which the replaced passage began. */
  shown(start: number, end: number): string {
    let shown = ''
    let at = start
    for (const each of this.#replacements) {
      if (each.end <= at || each.start >= end) continue
      shown += this.raw.slice(at, Math.max(at, each.start))
      if (each.start >= start) shown += each.text
      at = Math.min(each.end, end)
    }
    return shown + this.raw.slice(at, end)
  }

  *#wholeJobs(text: string): Generator<Job> {
    const start = this.passed
    const done = (judged: string): void => this.#pass(start, start + text.length, judged)
    this.waitsSince = undefined
    const whole = jsonContents(text)
    if (!whole) yield { text, before: '', settle: done }
    else yield* judgedTogether(whole, done)
    if (whole?.texts.length === 0) done(text)
  }

  #pass(start: number, end: number, judged: string): void {
    if (judged !== this.raw.slice(start, end)) this.#replacements.push({ start, end, text: judged })
    this.passed = end
  }
}

/** Contents that are judged together, and written together. */
export interface JudgedGroup {
  readonly texts: readonly string[]
  with(texts: readonly string[]): string
}

/** The strings of a JSON text; undefined if it is not valid JSON. */
function jsonContents(text: string): JudgedGroup | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  return contentsOf(Buffer.from(text), 'value')
}

/** Contents of a part of an answer. */
export function contentsOf(json: Buffer, shape: ContentShape): JudgedGroup {
  const contents = new BodyContents(json, shape, { openProof: () => undefined })
  return {
    texts: contents.texts.map(({ text }) => text),
    with: (texts) => contents.with(texts).toString(),
  }
}

export function* judgedTogether(
  { texts, with: written }: JudgedGroup,
  done: (text: string) => void,
): Generator<Job> {
  const judged: string[] = [...texts]
  let left = texts.length
  for (const [index, text] of texts.entries())
    yield {
      text,
      before: '',
      settle(changed) {
        judged[index] = changed
        left--
        if (left === 0) done(written(judged))
      },
    }
}

/** Pairs of the strings of a JSON text and those of its replacement. */
export function stringPairs(raw: string, shown: string): [string, string][] {
  try {
    const [before, after] = [raw, shown].map((text) => contentsOf(Buffer.from(text), 'value').texts)
    return (before ?? []).map((text, index) => [text, after?.[index] ?? text])
  } catch {
    return []
  }
}
