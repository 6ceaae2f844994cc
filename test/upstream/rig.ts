import type { TestContext } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiServer,
  type Script,
  type ScriptedUpstream,
  startUpstream,
  type UpstreamOptions,
} from '../helpers/scripted-upstream.ts'

/** A server that ends with the test. */
export async function upstreamOf(
  t: TestContext,
  options?: UpstreamOptions,
  script: Script = openaiServer('Hi'),
): Promise<ScriptedUpstream> {
  const upstream = await startUpstream(script, options)
  t.after(() => upstream.close())
  return upstream
}

/** A router that ends with the test, and names the cause of an error in its response. */
export async function routerOf(
  t: TestContext,
  models: Record<string, object[]>,
  env: Record<string, string> = {},
): Promise<TestRouter & { ask(model: string): ReturnType<typeof post> }> {
  const router = await startRouter({
    env: { LLM_ROUTER_IN_DEBUG: '1', ...env },
    models: modelsConfig(models),
  })
  t.after(() => router.close())
  return { ...router, ask: (model) => post(`${router.url}/v1/chat/completions`, { model, messages }) }
}
