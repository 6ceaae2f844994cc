import type OpenAI from 'openai'
import type { FaultServer } from './fault-server.ts'

/**
 * How long the request to the server continued after its client disconnected, in milliseconds, for each attempt. A client
 * disconnects at the first content or, if the server never responds, as soon as the server has its request.
 */
export async function leave(
  client: OpenAI,
  model: string,
  server: FaultServer,
  tries: number,
): Promise<number[]> {
  const times: number[] = []
  for (let index = 0; index < tries; index++) times.push(await leaveOnce(client, model, server))
  return times
}

/** A request that still runs after this time counts as endless. */
const limitMs = 3_000
/** What a responding server needs for it. */
const answerMs = 50

async function leaveOnce(client: OpenAI, model: string, server: FaultServer): Promise<number> {
  const leaving = new AbortController()
  const arrived = server.next()
  const question = { model, messages: [{ role: 'user' as const, content: 'x' }], stream: true as const }
  const asked = client.chat.completions.create(question, { signal: leaving.signal })
  asked.catch(() => undefined) // the abort is the expected result
  const socket = await arrived
  const over = new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now())))
  await within(answerMs, firstContent(asked), undefined)
  const leftAt = performance.now()
  leaving.abort()
  return (await within(limitMs, over, Number.POSITIVE_INFINITY)) - leftAt
}

async function firstContent(asked: PromiseLike<AsyncIterable<OpenAI.ChatCompletionChunk>>): Promise<void> {
  try {
    const chunks = (await asked)[Symbol.asyncIterator]()
    // Manually: leaving a `for await` loop would already abort the request.
    for (;;) {
      const { value, done } = await chunks.next()
      if (done || value.choices[0]?.delta.content) return
    }
  } catch {
    // The client disconnected before any response.
  }
}

async function within<T>(ms: number, promise: Promise<T>, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
