import { RE2JS } from 're2js'
import type { Finder } from './match.ts'

/**
 * Finds the entries of a list as whole words, case-insensitive. Only entries that begin like the text at an offset are compared with
 * it, because lists may be long.
 */
export function wordFinder(kind: string, words: readonly string[]): Finder {
  const known = words
    .map((word) => word.normalize('NFKC').trim())
    .filter((word) => word !== '')
    .toSorted((a, b) => b.length - a.length)
  const byStart = Map.groupBy(known, (word) => folded(wordStarts().exec(word)?.[0] ?? ''))
  const expressions = new Map(Array.from(byStart, ([start, entries]) => [start, oneOf(entries)]))
  if (known.length === 0) return () => []
  return function* find(text) {
    const starts = wordStarts()
    for (let start = starts.exec(text); start; start = starts.exec(text)) {
      const expression = expressions.get(folded(start[0]))
      if (!expression) continue
      expression.lastIndex = start.index
      const found = expression.exec(text)?.[0]
      if (found === undefined) continue
      const end = start.index + found.length
      yield { start: start.index, end, kind, normal: found.toLowerCase().replaceAll(/\s+/g, ' ') }
      starts.lastIndex = end
    }
  }
}

/** Matches what an entry can begin with: a run of letters and digits, or another character. */
function wordStarts(): RegExp {
  return /(?<![\p{L}\p{N}_])(?:[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s])/gu
}

/** Equal for texts that differ in case only. Upper case alone differs for the two forms of a sharp s. */
function folded(text: string): string {
  return text.toLowerCase().toUpperCase()
}

function oneOf(words: readonly string[]): RegExp {
  const choices = words.map((word) =>
    word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replaceAll(/\s+/g, '\\s+'),
  )
  return new RegExp(`(?:${choices.join('|')})(?![\\p{L}\\p{N}_])`, 'iuy')
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
