import { badRequest } from '../../sdk/errors.ts'

/**
 * The model and the method in the last part of a path, `gemini-2.5-flash:generateContent`, which the last colon separates: names of
 * models may have colons and slashes. Undefined where there is no method.
 */
export function readCallPath(path: string): { model: string; method: string } | undefined {
  const colon = path.lastIndexOf(':')
  return colon <= 0 ? undefined : { model: path.slice(0, colon), method: path.slice(colon + 1) }
}

/** Addresses are logged by every proxy on the way. Throws `bad_request` for a query with a key in it, as Google takes it. */
export function refuseQueryKey(query: unknown): void {
  if (typeof query === 'object' && query !== null && 'key' in query)
    throw badRequest("A key in the address is not accepted: send it as the header 'x-goog-api-key'", 'key')
}
