/** A passage of a response to judge, with the text before it. */
export interface Passage {
  readonly text: string
  readonly before: string
}

/** Verdict on passages: the texts that may be sent, or a block. */
export type PassageVerdict =
  | { readonly type: 'pass'; readonly texts: readonly string[] }
  | { readonly type: 'block'; readonly by: string }

/** Maximum window length in an unfinished text, in characters. */
const maxWindowLength = 1_000
/** Context before a window that is judged with it, in characters; also the maximum length of a match. */
export const contextLength = 400
/** Maximum time that a character waits for the end of its window, in milliseconds. */
export const maxWindowMs = 2_000

const ends = '.!?\u2026'
/** Sentence endings of scripts without spaces. */
const wideEnds = '\u3002\uff01\uff1f'
const closers = '"\')]}*_\u201d\u2019\u00bb\u300d\u300f'

/** Ends of the complete windows of an unfinished text. `isOver`: the text has ended, so its rest is a window too. */
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

/** Offset after the last complete sentence or line; 0 if there is none. A full stop ends a sentence only if white space follows. */
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

/** The length without a split surrogate pair. */
function wholeCharacters(text: string): number {
  return /[\ud800-\udbff]$/.test(text) ? text.length - 1 : text.length
}
