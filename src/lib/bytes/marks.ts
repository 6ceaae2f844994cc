/** Patterns that are searched for in the bytes of events, to find the few that must be parsed. */
export interface Marks {
  /** Matches the beginning of an event that must be parsed. */
  readonly begin: RegExp
  /** Matches anything else that an ordinary content event does not contain. */
  readonly any: RegExp
  /** Matches what must be parsed at once; other matches of `any` are token counts. */
  readonly read: RegExp
}

/**
 * The marks of server-sent events: errors, data that does not begin or end like an object, and the keys of a dialect. `keys`
 * and `countKeys` are sources of expressions that follow an opening quote, which generated text could only contain escaped.
 */
export function sseMarks(keys: readonly string[], countKeys: readonly string[] = []): Marks {
  const field = 'event: *error|data: *[^\\s{]'
  const ends = `\\n(?:${field}|\\r?\\n(?<!\\}\\r?\\n\\r?\\n))|\\r(?:${field}|\\r(?<!\\}\\r\\r))`
  return marksOf({ begin: new RegExp(`^(?:${field})`), ends, keys, countKeys })
}

/** The same for JSON lines. */
export function lineMarks(keys: readonly string[]): Marks {
  return marksOf({ begin: /^[^{]/, ends: '\\n(?:[^{]|(?<!\\}\\r?\\n))', keys, countKeys: [] })
}

function marksOf({
  begin,
  ends,
  keys,
  countKeys,
}: Pick<Marks, 'begin'> & Record<'keys' | 'countKeys', readonly string[]> & { ends: string }): Marks {
  const allKeys = [...keys, 'error"(?![ \\t]*:[ \\t]*(?:null|false))']
  const read = new RegExp([...allKeys.map(afterQuote), ends].join('|'))
  const any = new RegExp([...[...allKeys, ...countKeys].map(afterQuote), ends].join('|'))
  return { begin, any: countKeys.length === 0 ? read : any, read }
}

/** Searches for the first letter of a key before the quote in front of it, because quotes are frequent. */
function afterQuote(key: string): string {
  const letter = key.charAt(0)
  return `${letter}(?<="${letter})${key.slice(1)}`
}
