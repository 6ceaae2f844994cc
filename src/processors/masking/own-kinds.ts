import { RE2JS, RE2JSException } from 're2js'
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

/** Why an expression cannot be used, with the position in it, counted from 1; undefined where it can. */
export function expressionError(expression: string): string | undefined {
  const unsupported = /(?<!\\)(?:\\\\)*(\(\?<?[=!]|\\[1-9]|\\k<)/.exec(expression)
  if (unsupported) {
    const [whole, what = ''] = unsupported
    const position = unsupported.index + whole.length - what.length + 1
    const name = what.startsWith('(') ? 'look-around' : 'a back reference'
    return `${name} at character ${position} is not supported: expressions take linear time (RE2)`
  }
  try {
    return RE2JS.compile(expression).matches('') || RE2JS.compile(expression).matcher('').find()
      ? 'matches an empty text'
      : undefined
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    const part = /`(.*)`$/s.exec(error.message)?.[1]
    const at = part === undefined ? -1 : expression.indexOf(part)
    const where = at === -1 ? '' : ` at character ${at + 1}`
    return `${error.message.replace(/^error parsing regexp: /, '')}${where}`
  }
}

/** An expression in the syntax of RE2. Throws for one that {@link expressionError} reports. */
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
