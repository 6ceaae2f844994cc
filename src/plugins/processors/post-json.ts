import { responseText } from '../../lib/bytes/response-text.ts'
import type { PostJson } from '../../processors/masking/presidio.ts'

/** Maximum size of a service's response, in bytes. */
const maxAnswerBytes = 16 * 1024 * 1024

/** Posts JSON to a service, with a bearer token if there is one. */
export function jsonPoster(token: string | undefined): PostJson {
  const headers = token ? { authorization: `Bearer ${token}` } : {}
  return (url, body, signal) => postJson(url, body, signal, headers)
}

/**
 * Posts JSON to a service and parses its JSON response. Rejects unless the status is 2xx; does not follow redirects. `more`:
 * headers.
 */
export async function postJson(
  url: string,
  body: unknown,
  signal: AbortSignal,
  more: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...more },
    body: JSON.stringify(body),
    redirect: 'error',
    signal,
  })
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`the service responded with status ${response.status}`)
  }
  return JSON.parse(await responseText(response, maxAnswerBytes))
}
