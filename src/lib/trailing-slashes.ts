/** Paths are appended to the result. A regular expression would take quadratic time for many slashes before another character. */
export function withoutTrailingSlashes(text: string): string {
  let end = text.length
  while (text.endsWith('/', end)) end--
  return text.slice(0, end)
}
