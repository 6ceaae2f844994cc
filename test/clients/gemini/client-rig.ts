import { after, before, beforeEach } from 'node:test'
import { GoogleGenAI } from '@google/genai'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../../helpers/scripted-upstream.ts'

export const contents = [{ role: 'user', parts: [{ text: 'Hello' }] }]
export const json = { 'content-type': 'application/json' }

/** A router with an upstream of each kind, and Google's client. Registers the hooks that start and close them. */
export function geminiRig() {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let client: GoogleGenAI

  before(async () => {
    upstream = await startUpstream(openaiText('Hi there'))
    const provider = { api_host: upstream.url, model_path: 'upstream-model' }
    router = await startRouter({
      models: modelsConfig({
        small: [{ api_type: 'vllm', ...provider, input_size: 8192 }],
        'team/own:1b': [{ api_type: 'gemini', ...provider, model_path: 'gemini-2.5-flash' }],
        claude: [{ api_type: 'anthropic', ...provider }],
        lmstudio: [{ api_type: 'lmstudio', ...provider }],
        demo: [{ api_type: 'mock' }],
      }),
    })
    client = new GoogleGenAI({ apiKey: 'client-key', httpOptions: { baseUrl: router.url } })
  })
  beforeEach(() => upstream.rescript(openaiText('Hi there')))
  after(async () => {
    await router.close()
    await upstream.close()
  })

  function lastBody(): Record<string, unknown> {
    return Object(upstream.requests.at(-1)?.body)
  }

  function send(path: string, body: unknown = { contents }, headers: Record<string, string> = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return fetch(router.url + path, { method: 'POST', headers: { ...json, ...headers }, body: text })
  }

  return {
    get upstream(): ScriptedUpstream {
      return upstream
    },
    get router(): TestRouter {
      return router
    },
    get client(): GoogleGenAI {
      return client
    },
    lastBody,
    send,
  }
}
