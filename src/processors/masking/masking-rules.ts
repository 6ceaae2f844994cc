import type { EventLoopBudget } from '../../lib/event-loop-budget.ts'
import { type BuiltInKind, builtInKinds, literalKind } from '../../sdk/masked-kinds.ts'
import { expressionFinder, wordFinder } from './configured-finders.ts'
import { findPrivateKeys } from './find-secrets.ts'
import { builtInFinders, certainKinds, mayHoldBuiltIn, mayHoldCertain } from './kinds.ts'
import { type Finder, type Match, withoutOverlaps } from './match.ts'
import { normalText } from './normal.ts'
import { lookAlikes } from './pseudonyms.ts'
import { wordStartAt } from './word-start.ts'

/** Configuration of what is masked. */
export interface MaskingChoice {
  /** Built-in kinds that are off. */
  readonly off: readonly BuiltInKind[]
  /** Word lists by kind. */
  readonly words: Readonly<Record<string, readonly string[]>>
  /** Expressions by kind. */
  readonly expressions: Readonly<Record<string, readonly string[]>>
  readonly phoneCountries: readonly string[]
}

/** Length of the slices in which a text is searched, and of the context on either side, in characters. */
const sliceLength = 8_192
const overlap = 512

/** Finds the values to mask. */
export class MaskingRules {
  readonly #builtIn: readonly Finder[]
  readonly #certain: readonly Finder[]
  readonly #configured: readonly Finder[]
  readonly #findsSecrets: boolean

  constructor({ off, words, expressions, phoneCountries }: MaskingChoice) {
    const finders = builtInFinders({ phoneCountries })
    const on = builtInKinds.filter((kind) => !off.includes(kind))
    const enabled = Object.entries(finders).flatMap(([kind, find]) =>
      on.some((each) => each === kind) ? [find] : [],
    )
    this.#builtIn = enabled
    this.#findsSecrets = on.includes('SECRET')
    this.#certain = on.filter((kind) => certainKinds.has(kind)).map((kind) => finders[kind])
    this.#configured = [
      ...Object.entries(words).map(([kind, list]) => wordFinder(kind, list)),
      ...Object.entries(expressions).flatMap(([kind, list]) =>
        list.map((expression) => expressionFinder(kind, expression)),
      ),
    ]
  }

  /**
   * Returns the values in a text in order, with their offsets, and yields to the event loop. `pieces`: those that the text consists of.
   * A value within one piece is found even if it cannot be recognised next to the neighbouring piece.
   */
  async find(
    written: string,
    budget: EventLoopBudget,
    { literals, pieces = [] }: { literals: boolean; pieces?: readonly string[] },
  ): Promise<Match[]> {
    const placed = await this.#matchesIn(written, budget)
    for (const { text, offset, min, max } of endsOf(pieces))
      for (const { start, end, ...match } of await this.#matchesIn(text, budget))
        if (start >= min && end <= max) placed.push({ ...match, start: offset + start, end: offset + end })
    if (literals)
      for (const { start, end } of lookAlikes(written))
        placed.push({ start, end, kind: literalKind, normal: written.slice(start, end) })
    return fromWordStarts(written, withoutOverlaps(placed))
  }

  async #matchesIn(written: string, budget: EventLoopBudget): Promise<Match[]> {
    const matches: Match[] = []
    for (let from = 0; from < written.length; from += sliceLength) {
      const first = characterStart(written, from - overlap)
      const { text, startOf, endOf } = normalText(
        written.slice(first, tokenEnd(written, from + sliceLength + overlap)),
      )
      const finders = mayHoldBuiltIn.test(text) ? [...this.#configured, ...this.#builtIn] : this.#configured
      for (const find of finders)
        for (const match of find(text)) {
          const [start, end] = [first + startOf(match.start), first + endOf(match.end)]
          if (start >= from && start < from + sliceLength) matches.push({ ...match, start, end })
        }
      await budget.take()
    }
    if (this.#findsSecrets) matches.push(...findPrivateKeys(written))
    return matches
  }

  /** Whether a text that cannot be changed contains a value of a certain kind. */
  holdsCertain(written: string): boolean {
    const { text } = normalText(written)
    if (!mayHoldCertain.test(text)) return false
    return this.#certain.some((find) => {
      for (const _match of find(text)) return true
      return false
    })
  }
}

/** Length of the part at either end of a piece that is also searched by itself, in characters. */
const endLength = 512

/** Ends of adjacent pieces. Matches outside `min` to `max` may be cut off by the search rather than by the piece. */
function* endsOf(
  pieces: readonly string[],
): Generator<{ text: string; offset: number; min: number; max: number }> {
  if (pieces.length < 2) return
  let offset = 0
  for (const piece of pieces) {
    if (piece.length <= 2 * endLength) yield { text: piece, offset, min: 0, max: piece.length }
    else {
      const behind = piece.length - endLength
      yield { text: piece.slice(0, endLength), offset, min: 0, max: endLength - 1 }
      yield { text: piece.slice(behind), offset: offset + behind, min: 1, max: endLength }
    }
    offset += piece.length
  }
}

/** Maximum length of a value without spaces, in characters. */
const maxTokenLength = 16_384

/** End of the word that contains an offset. */
function tokenEnd(text: string, offset: number): number {
  for (let at = offset; at < text.length && at - offset < maxTokenLength; at++)
    if (/\s/.test(text.charAt(at))) return at
  return Math.min(text.length, offset + maxTokenLength)
}

/** Maximum number of combining marks of one character that are considered. */
const maxMarks = 32

/** Start of the character at an offset, including its combining marks. */
function characterStart(text: string, offset: number): number {
  let at = Math.max(0, offset)
  for (let back = 0; back < maxMarks && at > 0 && /[\p{M}\udc00-\udfff]/u.test(text.charAt(at)); back++) at--
  return at
}

/** Extends matches to the start of their word, since pseudonyms are restored only there, and joins adjacent ones. */
function fromWordStarts(text: string, matches: readonly Match[]): Match[] {
  let before = 0
  const widened = matches.map((match) => {
    // The text between two matches of one word is scanned once: they are joined, wherever the word begins.
    const start = wordStartAt(text, match.start, before)
    before = match.end
    if (start === match.start) return match
    const normal = text.slice(start, match.start) + match.normal
    return { ...match, start, normal }
  })
  const joined: Match[] = []
  for (const match of withoutOverlaps(widened)) {
    const last = joined.at(-1)
    // Underscores before a word count as Markdown, but not after a pseudonym.
    if (last && match.start - last.end <= 3 && /^_*$/.test(text.slice(last.end, match.start)))
      joined[joined.length - 1] = {
        ...last,
        end: match.end,
        normal: `${last.normal}${text.slice(last.end, match.start)}${match.normal}`,
      }
    else joined.push(match)
  }
  return joined
}
