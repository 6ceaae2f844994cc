import assert from 'node:assert/strict'
import { eventsIn } from './events-in.ts'
import { post, type RawAnswer } from './http.ts'
import { modelsConfig } from './models-config.ts'
import { startRouter, type TestRouter } from './router.ts'
import { type Behaviour, type ScriptedUpstream, startUpstream, upstreamModel } from './scripted-upstream.ts'

/** Responses of four dialects, as the assertions read them. */
export type Json = ReturnType<typeof JSON.parse>

export interface Rig {
  router: TestRouter
  upstream: ScriptedUpstream
  /** The body of the last upstream request. */
  sent(): Json
}

/** One upstream behind a model for each provider type, named after the type. */
export async function startRig(answer: Behaviour): Promise<Rig & { close(): Promise<void> }> {
  const upstream = await startUpstream(answer)
  const types = ['openai', 'vllm', 'llamacpp', 'ollama', 'anthropic', 'gemini']
  const providers = types.map((api_type): [string, object[]] => [
    api_type,
    [{ id: api_type, api_type, api_host: upstream.url, model_path: upstreamModel, api_token: 'sk-up' }],
  ])
  // A server of the openai dialect that has only chats.
  const [, [chats = {}] = []] = providers[0] ?? []
  providers.push(['chatonly', [{ ...chats, id: 'chatonly', responses: false }]])
  // A model that supports tools with reasoning in the Responses API only.
  const profile = { tools_with_effort: 'responses' }
  providers.push(['responses', [{ ...chats, id: 'responses', responses: true, profile }]])
  const router = await startRouter({
    models: modelsConfig(Object.fromEntries(providers)),
  })
  return {
    router,
    upstream,
    sent: () => upstream.requests.at(-1)?.body,
    async close() {
      await router.close()
      await upstream.close()
    },
  }
}

export const paths = {
  openai: '/v1/chat/completions',
  anthropic: '/v1/messages',
  ollama: '/api/chat',
  responses: '/v1/responses',
} as const
export type ClientDialect = keyof typeof paths

const words = {
  openai: { messages: [{ role: 'user', content: 'hi' }] },
  anthropic: { messages: [{ role: 'user', content: 'hi' }], max_tokens: 50 },
  ollama: { messages: [{ role: 'user', content: 'hi' }] },
  responses: { input: 'hi' },
} as const

export interface DialectAnswer extends RawAnswer {
  json: Json
  /** The events or lines of a stream, parsed. */
  events: Json[]
  lost: string
}

/** Sends a request as a client of the dialect; `body` extends a two-word question. */
export async function ask(
  { router }: Pick<Rig, 'router'>,
  dialect: ClientDialect,
  model: string,
  body: object = {},
): Promise<DialectAnswer> {
  const answer = await post(router.url + paths[dialect], { model, stream: false, ...words[dialect], ...body })
  return {
    ...answer,
    json: parsed(answer.text),
    events: eventsIn(answer.text),
    lost: answer.headers.get('x-llm-router-lost') ?? '',
  }
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Fails the test with the response text unless the status is 200. */
export function assertOk({ status, text }: RawAnswer, about?: string): void {
  assert.equal(status, 200, `${about ?? ''} ${text}`)
}
