import { withoutTrailingSlashes } from '../../lib/endpoint-paths.ts'
/** Parses the trimmed text of a variable; undefined if invalid. */
export type ReadText<T = unknown> = (text: string) => T | undefined

const trueWords = ['true', '1', 't', 'y', 'yes', 'tak', 'on']
const falseWords = ['false', '0', 'f', 'n', 'no', 'nie', 'off', '']

/** Parses the booleans of the Python llm-router, and `on` and `off`. */
export const readBoolean: ReadText<boolean> = (text) => {
  const word = text.trim().toLowerCase()
  if (trueWords.includes(word)) return true
  return falseWords.includes(word) ? false : undefined
}

export const booleanWords = `one of: ${[...trueWords, ...falseWords].filter((word) => word !== '').join(', ')}`

/** Parses the ASCII syntax of Python's `int()`: a sign, digits, single `_` between digits. */
export const readInteger: ReadText<number> = (text) =>
  /^[+-]?\d+(?:_\d+)*$/.test(text) ? Number(text.replaceAll('_', '')) : undefined

/** Converts seconds, with or without a fraction, to milliseconds. */
export const readSeconds: ReadText<number> = (text) => {
  if (!/^[+-]?(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)$/.test(text)) return undefined
  return Math.round(Number(text.replaceAll('_', '')) * 1000)
}

export const readString: ReadText<string> = (text) => text

/** Parses a comma-separated list; surrounding white space and empty items are ignored. */
export const readList: ReadText<string[]> = (text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

/** Returns a parser for one of a set of words, case-insensitive; `synonyms` maps further words to them. */
export function readWord(
  words: readonly string[],
  synonyms: Readonly<Record<string, string>>,
): ReadText<string> {
  return (text) => {
    const word = text.toLowerCase()
    if (words.includes(word)) return word
    return Object.hasOwn(synonyms, word) ? synonyms[word] : undefined
  }
}

/** Normalizes a path prefix to one leading and no trailing slash; `/` means no prefix. */
export const readPathPrefix: ReadText<string> = (text) => {
  const inner = withoutTrailingSlashes(text.replace(/^\/+/, ''))
  return inner === '' ? '' : `/${inner}`
}

/** Warning for a value that {@link looksUnexpanded}; follows the value's path and does not show it. */
export const unexpandedHint =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: users must write exactly this.
  'looks like a reference to an environment variable, but is used literally; write ${NAME} to have it replaced'

/**
 * Whether a value looks like a reference to an environment variable in another program's syntax: `os.environ/NAME` (LiteLLM),
 * `$NAME` (shells), `$(NAME)` (left by Kubernetes for an unknown variable), `env.NAME` and `env:NAME` (other gateways).
 */
export function looksUnexpanded(value: string): boolean {
  return /^(?:os\.environ\/\w+|\$[A-Za-z_]\w*|\$\(\w+\)|env[.:][A-Z_][A-Z0-9_]*)$/.test(value.trim())
}
