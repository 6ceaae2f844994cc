import { RE2JS } from 're2js'
import { normalText } from '../masking/normal.ts'
import { wordFinder } from '../masking/own-kinds.ts'
import type { Judge } from './judge.ts'

/** Unsafe is what holds one of the words, or matches one of the expressions. */
export function localJudge(words: readonly string[], expressions: readonly string[]): Judge {
  const findWords = wordFinder('WORD', words)
  const compiled = expressions.map((expression) => RE2JS.compile(expression))
  return async (contents) => {
    for (const content of contents) {
      const { text } = normalText(content)
      for (const _match of findWords(text)) return 'unsafe'
      if (compiled.some((expression) => expression.matcher(text).find())) return 'unsafe'
    }
    return 'safe'
  }
}
