import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { post, type RawAnswer } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

export type Outcome = 'hit' | 'miss' | 'bypass' | null

export interface CacheSetup {
  readonly router: TestRouter
  readonly upstream: ScriptedUpstream
  /** Requests a chat completion and checks the cache outcome. */
  ask(body: object, expected: Outcome, headers?: Record<string, string>): Promise<RawAnswer>
  /** Writes another models-config.json and waits until it is in use. */
  reload(models: object): Promise<void>
  close(): Promise<void>
}

interface SetupOptions {
  processors?: object[]
  env?: Record<string, string>
  answer?: (request: RecordedRequest, index: number) => object
}

export const json = { 'content-type': 'application/json' }

/** A completion that contains the number of earlier requests, so that no two are equal. */
export function completion(text: string, more: { reason?: string; message?: object } = {}): object {
  const message = { role: 'assistant', content: text, ...more.message }
  return {
    id: 'chatcmpl-upstream',
    object: 'chat.completion',
    created: 1,
    model: 'up',
    choices: [{ index: 0, message, finish_reason: more.reason ?? 'stop' }],
    usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
  }
}

export const question = (content = 'What is it?') => ({ model: 'm', messages: [{ role: 'user', content }] })

export function modelsWith(processors: object[], url: string, provider: object = {}): object {
  const providers = () => [{ api_type: 'vllm', api_host: url, model_path: 'up', ...provider }]
  return {
    processors,
    g: { m: { providers: providers() }, other: { providers: providers() } },
    active_models: { g: ['m', 'other'] },
  }
}

/** A router with a cache and a server that numbers its responses. */
export async function startCache({
  processors = [{ type: 'cache' }],
  env = {},
  answer = (_request, index) => completion(`Answer ${index}`),
}: SetupOptions = {}): Promise<CacheSetup> {
  const upstream = await startUpstream((request, index) => ({ kind: 'reply', body: answer(request, index) }))
  const router = await startRouter({ models: modelsWith(processors, upstream.url), env })
  return {
    router,
    upstream,
    async ask(body, expected, headers = {}) {
      const asked = upstream.requests.length
      const given = await post(`${router.url}/v1/chat/completions`, body, { ...json, ...headers })
      assert.equal(given.status, 200, given.text)
      assert.equal(given.headers.get('x-llm-router-cache'), expected)
      assert.equal(upstream.requests.length, expected === 'hit' ? asked : asked + 1)
      return given
    },
    async reload(models) {
      writeFileSync(router.file, JSON.stringify(models))
      await router.app.reload.now()
    },
    async close() {
      await router.close()
      await upstream.close()
    },
  }
}
