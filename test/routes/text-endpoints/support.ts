import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Behaviour, RecordedRequest, ScriptedUpstream } from '../../helpers/scripted-upstream.ts'

/** A directory with short prompts for all ids, so that a test can contain whole upstream bodies. */
export const promptsDir = join(import.meta.dirname, '../../fixtures/prompts')

/** What is sent to a vLLM server with every request that sets nothing else. */
export const vllmDefaults = {
  temperature: 0.75,
  max_tokens: 256,
  top_p: 0.99,
  top_k: 50,
  repetition_penalty: 1.2,
}

/** The same for Ollama, which supports all of them. */
export const ollamaDefaults = {
  temperature: 0.75,
  num_predict: 256,
  top_p: 0.99,
  top_k: 50,
  typical_p: 1,
  repeat_penalty: 1.2,
}

/** An Ollama server must reject a prompt that is too long, not cut it. */
export const uncut = { truncate: false, shift: false }

export function system(content: string) {
  return { role: 'system', content }
}

export function user(content: string) {
  return { role: 'user', content }
}

export function assistant(content: string) {
  return { role: 'assistant', content }
}

/** The last message of a recorded request: the text that it is about. */
export function askedIn({ body }: RecordedRequest): string {
  assert.ok(typeof body === 'object' && body !== null && 'messages' in body && Array.isArray(body.messages))
  return body.messages.at(-1).content
}

/** Bodies received from this index on, in the order of their texts. */
export function bodiesSince(upstream: ScriptedUpstream, index: number): unknown[] {
  return upstream.requests
    .slice(index)
    .toSorted((a, b) => (askedIn(a) < askedIn(b) ? -1 : 1))
    .map(({ body }) => body)
}

/** A script that answers each text individually. */
export function byText(
  answers: Readonly<Record<string, Behaviour | Promise<Behaviour>>>,
): (request: RecordedRequest) => Behaviour | Promise<Behaviour> {
  return (request) => answers[askedIn(request)] ?? assert.fail(`no answer for ${askedIn(request)}`)
}

/** An answer without its duration in seconds. */
export function untimed(text: string): Record<string, unknown> {
  const { generation_time, ...rest } = JSON.parse(text)
  assert.equal(typeof generation_time, 'number')
  assert.ok(generation_time > 0 && generation_time < 60)
  return rest
}

/** The data of SSE events, parsed if it is JSON. */
export function eventsIn(text: string): unknown[] {
  assert.ok(text.endsWith('\n\n'), 'every event is terminated by an empty line')
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => {
      assert.ok(event.startsWith('data: '), event)
      const data = event.slice('data: '.length)
      return data === '[DONE]' ? data : JSON.parse(data)
    })
}
