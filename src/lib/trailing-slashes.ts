/**
 * Removes trailing slashes. Not by a regular expression, which takes quadratic time for many slashes before another character.
 */
export function withoutTrailingSlashes(text: string): string {
  let end = text.length
  while (text.endsWith('/', end)) end--
  return text.slice(0, end)
}
