import OpenAI from 'openai'
import { goodText } from './answers.ts'

/**
 * What a client of a proxy can observe: the correct response, an error, a truncated or wrong response that seems complete, or
 * nothing within the limit.
 */
export type Outcome = 'good' | 'error' | 'silent' | 'hang'

/** Longer than every timeout of the proxies, including two attempts. */
const limitMs = 5_000

/** The official client without its own retries: the proxy is what is measured. */
export function clientOf(port: number, backend: string): OpenAI {
  return new OpenAI({
    baseURL: `http://127.0.0.1:${port}/v1`,
    apiKey: 'unused',
    maxRetries: 0,
    logLevel: 'off',
    defaultHeaders: { 'x-backend': backend },
  })
}

export async function ask(client: OpenAI, model: string, stream: boolean): Promise<Outcome> {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), limitMs)
  try {
    const text = await (stream ? streamed : whole)(client, model, limit.signal)
    if (limit.signal.aborted) return 'hang'
    return text === goodText ? 'good' : 'silent'
  } catch {
    return limit.signal.aborted ? 'hang' : 'error'
  } finally {
    clearTimeout(timer)
  }
}

const messages = [{ role: 'user' as const, content: 'Count to three' }]

async function whole(client: OpenAI, model: string, signal: AbortSignal): Promise<string | null | undefined> {
  const answer: Partial<OpenAI.ChatCompletion> = await client.chat.completions.create(
    { model, messages },
    { signal },
  )
  return answer.choices?.[0]?.message.content
}

async function streamed(client: OpenAI, model: string, signal: AbortSignal): Promise<string> {
  let text = ''
  const events = await client.chat.completions.create({ model, messages, stream: true }, { signal })
  for await (const { choices } of events) text += choices?.[0]?.delta.content ?? ''
  return text
}
