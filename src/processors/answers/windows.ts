/** A text of an answer that is to be judged, and what stands before it. */
export interface Passage {
  readonly text: string
  readonly before: string
}

/** What was said of passages: their texts as they may go out, or that nothing more may. */
export type PassageVerdict =
  | { readonly type: 'pass'; readonly texts: readonly string[] }
  | { readonly type: 'block'; readonly by: string }

/** Most characters of a text that are judged at once while it is being written. */
const maxWindowLength = 1_000
/** Characters before a window that are judged with it; no match of an expression is longer. */
export const contextLength = 400
/** A character waits at most this long for the end of its window, in milliseconds. */
export const maxWindowMs = 2_000

const ends = '.!?\u2026'
/** Nobody writes a blank behind these. */
const wideEnds = '\u3002\uff01\uff1f'
const closers = '"\')]}*_\u201d\u2019\u00bb\u300d\u300f'

/** Where windows of a text that goes on end; the rest waits. `isOver`: nothing more waits. */
export function windowEnds(pending: string, isOver: boolean): number[] {
  const found: number[] = []
  let from = 0
  while (pending.length - from > maxWindowLength) {
    const window = pending.slice(from, from + maxWindowLength)
    from += sentenceEnd(window) || blankEnd(window) || wholeCharacters(window)
    found.push(from)
  }
  const rest = pending.length - from
  const last = isOver || rest === maxWindowLength ? rest : sentenceEnd(pending.slice(from))
  if (last > 0) found.push(from + last)
  return found
}

/** Behind the last end of a sentence or line; 0: there is none. What ends a sentence is known by the blank behind it. */
function sentenceEnd(text: string): number {
  for (let at = text.length - 1; at >= 0; at--) {
    const character = text[at] ?? ''
    if (character === '\n' || wideEnds.includes(character)) return at + 1
    if (character.trim() === '' && isSentence(text, at)) return at
  }
  return 0
}

function isSentence(text: string, end: number): boolean {
  let at = end - 1
  for (let closed = 0; closed < 4 && at > 0 && closers.includes(text[at] ?? ''); closed++) at--
  return at >= 0 && ends.includes(text[at] ?? '')
}

function blankEnd(text: string): number {
  for (let at = text.length - 1; at > text.length / 2; at--) if ((text[at] ?? '').trim() === '') return at
  return 0
}

/** The length without half of a character. */
function wholeCharacters(text: string): number {
  return /[\ud800-\udbff]$/.test(text) ? text.length - 1 : text.length
}
