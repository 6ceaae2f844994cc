import { setTimeout as delay } from 'node:timers/promises'
import { isObject, parseObject } from '../../lib/json/read.ts'
import { errorMessageIn } from '../ask-router.ts'

interface Router {
  /** Without a trailing slash. */
  readonly url: string
  /** Client key; empty: none. */
  readonly key: string
  readonly model: string
}

const timeoutMs = 300_000
const maxAttempts = 5
const maxDelayMs = 30_000

/** Gets embeddings of texts from a running router, with retries. Throws an Error with a message for the operator. */
export async function embedTexts(
  { url, key, model }: Router,
  texts: readonly string[],
): Promise<Float32Array[]> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${url}/v1/embeddings`, {
      method: 'POST',
      redirect: 'error',
      headers: {
        'content-type': 'application/json',
        ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
      },
      body: JSON.stringify({ model, input: texts }),
      signal: AbortSignal.timeout(timeoutMs),
    }).catch(() => {
      throw new Error(`${url} does not answer`)
    })
    const answer = parseObject(await response.text())
    if (response.ok) return vectorsOf(answer, texts.length)
    const mayRetry = response.status === 429 || response.status >= 500
    if (!mayRetry || attempt === maxAttempts)
      throw new Error(errorMessageIn(answer) ?? `${url} answers ${response.status}`)
    const seconds = Number(response.headers.get('retry-after') ?? attempt)
    await delay(Math.min(maxDelayMs, Math.max(100, seconds * 1000)))
  }
}

function vectorsOf(answer: Record<string, unknown> | undefined, count: number): Float32Array[] {
  const list = Array.isArray(answer?.data) ? answer.data : []
  const vectors = list.flatMap((item: unknown) => {
    const vector = isObject(item) ? item.embedding : undefined
    return Array.isArray(vector) && vector.length > 0 && vector.every(Number.isFinite)
      ? [Float32Array.from(vector)]
      : []
  })
  if (vectors.length !== count) throw new Error('the model returned a different number of vectors')
  return vectors
}
