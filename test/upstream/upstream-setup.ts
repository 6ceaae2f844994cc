import type { TestContext } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Script,
  type ScriptedUpstream,
  startUpstream,
  type UpstreamOptions,
} from '../helpers/scripted-upstream.ts'

/** Starts an upstream that is closed at the end of the test. */
export async function startUpstreamFor(
  t: TestContext,
  script: Script,
  options?: UpstreamOptions,
): Promise<ScriptedUpstream> {
  const upstream = await startUpstream(script, options)
  t.after(() => upstream.close())
  return upstream
}

/** Starts a router that is closed at the end of the test. Its error responses have the cause. */
export async function startRouterFor(
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
