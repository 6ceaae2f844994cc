/** Answers of services that are longer are none, in bytes. */
const maxAnswerBytes = 16 * 1024 * 1024

/** Posts JSON to a service and reads its JSON. Rejects for any other status than 2xx; no redirect is followed. `more`: headers. */
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
    throw new Error(`the service answered with status ${response.status}`)
  }
  const announced = Number(response.headers.get('content-length') ?? 0)
  if (announced > maxAnswerBytes) {
    await response.body?.cancel()
    throw new Error('the answer of the service is too long')
  }
  return response.json()
}
