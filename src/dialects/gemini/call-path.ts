/**
 * The model and the method in the last part of a path, `gemini-2.5-flash:generateContent`, which the last colon separates: names of
 * models may have colons and slashes. Undefined where there is no method.
 */
export function readCallPath(path: string): { model: string; method: string } | undefined {
  const colon = path.lastIndexOf(':')
  return colon <= 0 ? undefined : { model: path.slice(0, colon), method: path.slice(colon + 1) }
}
