import { withoutTrailingSlashes } from '../../lib/trailing-slashes.ts'
/** Reads the trimmed text of a variable; undefined when it says nothing of that kind. */
export type ReadText<T = unknown> = (text: string) => T | undefined

const trueWords = ['true', '1', 't', 'y', 'yes', 'tak', 'on']
const falseWords = ['false', '0', 'f', 'n', 'no', 'nie', 'off', '']

/** The words for yes and no that the Python llm-router knows, and `on` and `off`. */
export const readBoolean: ReadText<boolean> = (text) => {
  const word = text.trim().toLowerCase()
  if (trueWords.includes(word)) return true
  return falseWords.includes(word) ? false : undefined
}

export const booleanWords = `one of: ${[...trueWords, ...falseWords].filter((word) => word !== '').join(', ')}`

/** What Python's `int()` takes, as far as it is written in ASCII: a sign, digits, single `_` between digits. */
export const readInteger: ReadText<number> = (text) =>
  /^[+-]?\d+(?:_\d+)*$/.test(text) ? Number(text.replaceAll('_', '')) : undefined

/** Seconds, with or without a fraction, as milliseconds. */
export const readSeconds: ReadText<number> = (text) => {
  if (!/^[+-]?(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)$/.test(text)) return undefined
  return Math.round(Number(text.replaceAll('_', '')) * 1000)
}

export const readString: ReadText<string> = (text) => text

/** A comma-separated list; blanks around its items and empty items do not count. */
export const readList: ReadText<string[]> = (text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

/** One of a set of words in any case; `synonyms` maps further words to them. */
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

/** The start of a path: one leading slash, none at the end; `/` alone is no prefix at all. */
export const readPathPrefix: ReadText<string> = (text) => {
  const inner = withoutTrailingSlashes(text.replace(/^\/+/, ''))
  return inner === '' ? '' : `/${inner}`
}

/** What is said of a value that {@link looksUnexpanded}; it follows the path of the value, and does not show it. */
export const unexpandedHint =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what users are to write.
  'reads like the name of an environment variable, but is used as it is; write ${NAME} to have it replaced'

/**
 * Whether a value is how other programs write a reference to an environment variable: `os.environ/NAME` (LiteLLM), `$NAME`
 * (shells), `$(NAME)` (what Kubernetes leaves of a variable that it does not know), `env.NAME` and `env:NAME` (other gateways).
 */
export function looksUnexpanded(value: string): boolean {
  return /^(?:os\.environ\/\w+|\$[A-Za-z_]\w*|\$\(\w+\)|env[.:][A-Z_][A-Z0-9_]*)$/.test(value.trim())
}
