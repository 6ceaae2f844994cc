import { RE2JS } from 're2js'
import type { Finder } from './match.ts'

/** A word of a list is found as a whole word, in any case. */
export function wordFinder(kind: string, words: readonly string[]): Finder {
  const known = words
    .map((word) => word.normalize('NFKC').trim())
    .filter((word) => word !== '')
    .toSorted((a, b) => b.length - a.length)
  const choices = known.map((word) =>
    word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replaceAll(/\s+/g, '\\s+'),
  )
  if (choices.length === 0) return () => []
  const expression = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${choices.join('|')})(?![\\p{L}\\p{N}_])`, 'giu')
  return function* find(text) {
    for (const { 0: found, index } of text.matchAll(expression)) {
      const normal = found.toLowerCase().replaceAll(/\s+/g, ' ')
      yield { start: index, end: index + found.length, kind, normal }
    }
  }
}

/** An expression in the syntax of RE2. Throws for an invalid one. */
export function expressionFinder(kind: string, expression: string): Finder {
  const compiled = RE2JS.compile(expression)
  return function* find(text) {
    const matcher = compiled.matcher(text)
    while (matcher.find()) {
      const [start, end] = [matcher.start(), matcher.end()]
      if (end > start) yield { start, end, kind, normal: text.slice(start, end) }
    }
  }
}
