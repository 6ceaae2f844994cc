import type OpenAI from 'openai'
import type { FaultServer } from './fault-server.ts'

/**
 * How long after its client left the call to the server was over, in milliseconds, for each of the tries. A client leaves
 * at the first content, or, where the server never answers, as soon as the server has its request.
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

/** A call that is still there after this is taken for one without end. */
const limitMs = 3_000
/** What a server that answers at all needs to do so. */
const answerMs = 50

async function leaveOnce(client: OpenAI, model: string, server: FaultServer): Promise<number> {
  const leaving = new AbortController()
  const arrived = server.next()
  const question = { model, messages: [{ role: 'user' as const, content: 'x' }], stream: true as const }
  const asked = client.chat.completions.create(question, { signal: leaving.signal })
  asked.catch(() => undefined) // that it was ended is what it says
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
    // By hand: leaving a `for await` would already end the call.
    for (;;) {
      const { value, done } = await chunks.next()
      if (done || value.choices[0]?.delta.content) return
    }
  } catch {
    // The client left before any answer.
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
