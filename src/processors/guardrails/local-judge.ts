import { EventLoopBudget } from '../../lib/event-loop-budget.ts'
import { expressionFinder, wordFinder } from '../masking/configured-finders.ts'
import { type Match, withoutOverlaps } from '../masking/match.ts'
import { normalText } from '../masking/normal.ts'
import { inContext, type Judge } from './judge.ts'

interface LocalJudgeOptions {
  readonly words: readonly string[]
  readonly expressions: readonly string[]
  /** Replaces each match; undefined if a match blocks the content. */
  readonly replacement: string | undefined
}

/** Looks for words and for matches of expressions. */
export function localJudge({ words, expressions, replacement }: LocalJudgeOptions): Judge {
  const finders = [
    wordFinder('WORD', words),
    ...expressions.map((expression) => expressionFinder('MATCH', expression)),
  ]
  return async (judged) => {
    const before = judged.before?.map(({ length }) => length) ?? []
    const budget = new EventLoopBudget(judged.signal)
    const found: Match[][] = []
    for (const [index, content] of inContext(judged).entries()) {
      const { text, startOf, endOf } = normalText(content)
      const matches: Match[] = []
      for (const find of finders) {
        for (const match of find(text)) {
          const end = endOf(match.end)
          // A match that ends before the content was already judged.
          if (end <= (before[index] ?? 0)) continue
          if (replacement === undefined) return { type: 'block' }
          matches.push({ ...match, start: startOf(match.start), end })
          await budget.take()
        }
        await budget.take()
      }
      found.push(withoutOverlaps(matches))
    }
    if (replacement === undefined || found.every(({ length }) => length === 0)) return { type: 'pass' }
    const contents = judged.contents.map((content, index) =>
      replaced(content, found[index] ?? [], before[index] ?? 0, replacement),
    )
    return { type: 'replace', contents }
  }
}

/** `offset` of the content in the searched text; the text before it has been sent. */
function replaced(content: string, matches: readonly Match[], offset: number, replacement: string): string {
  let text = ''
  let at = 0
  for (const { start, end } of matches) {
    text += content.slice(at, Math.max(0, start - offset)) + replacement
    at = end - offset
  }
  return text + content.slice(at)
}
