import assert from 'node:assert/strict'
import { after, type TestContext } from 'node:test'
import { post, type RawAnswer } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiError,
  openaiText,
  type RecordedRequest,
  type Script,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'

export interface Fleet {
  router: TestRouter
  servers: ScriptedUpstream[]
  /** The router's name of the model that the test calls `name`. */
  nameOf(model: string): string
  /** The target of the model `m` on the server with this letter. */
  targetOn(letter: string): string
  /** A chat with this text; `more` adds members to the body. */
  ask(text: string, more?: object, model?: string): Promise<RawAnswer>
  /** Requests that each server received since the last call. */
  counts(): number[]
}

export interface FleetOptions {
  strategy?: string
  /** By default, the fleet replaces the previous one in a router that the tests share. */
  env?: Record<string, string>
  /** Further models by name, with the indexes of their servers. */
  models?: Record<string, number[]>
  fallbacks?: string[]
}

/** Registers a hook that closes the router that fleets share, and returns the function that starts a fleet. */
export function fleetStarter(): (
  t: TestContext,
  scripts: Script[],
  options?: FleetOptions,
) => Promise<Fleet> {
  const env = { LLM_ROUTER_LOG_LEVEL: 'info', LLM_ROUTER_USE_PROMETHEUS: '1' }
  const shared = new SharedRouter(env)
  let fleets = 0

  after(() => shared.close())

  /** The model `m` on one server per script, in this order. */
  return async function startFleet(
    t: TestContext,
    scripts: Script[],
    options: FleetOptions = {},
  ): Promise<Fleet> {
    const servers = await Promise.all(scripts.map((script) => startUpstream(script)))
    t.after(() => Promise.all(servers.map((server) => server.close())))
    const number = ++fleets
    const nameOf = (model: string): string => `${model}${number}`
    const provider = (index: number, model: string) => ({
      id: `${nameOf(model)}-${'abcdefgh'[index]}`,
      api_type: 'vllm',
      api_host: servers[index]?.url ?? assert.fail('no such server'),
      model_path: 'up',
    })
    const all: Record<string, number[]> = { m: servers.map((_, index) => index), ...options.models }
    const models = modelsConfig(
      Object.fromEntries(
        Object.entries(all).map(([name, of]) => [nameOf(name), of.map((index) => provider(index, name))]),
      ),
    ) as { test_models: Record<string, object> }
    const strategy = options.strategy ?? 'first_available'
    for (const model of Object.values(models.test_models)) Object.assign(model, { strategy })
    if (options.fallbacks)
      Object.assign(models.test_models[nameOf('m')] ?? {}, { fallbacks: options.fallbacks.map(nameOf) })
    const router = options.env
      ? await startRouter({ env: { ...env, ...options.env }, models })
      : await shared.with(models)
    t.after(() => router.close())
    let seen = servers.map(() => 0)
    return {
      router,
      servers,
      nameOf,
      targetOn: (letter) => `${nameOf('m')}-${letter}`,
      ask: (text, more = {}, model = 'm') =>
        post(`${router.url}/v1/chat/completions`, {
          model: nameOf(model),
          messages: [{ role: 'user', content: text }],
          ...more,
        }),
      counts() {
        const now = servers.map(({ requests }) => requests.length)
        const since = now.map((count, index) => count - (seen[index] ?? 0))
        seen = now
        return since
      },
    }
  }
}

export const broken = openaiError(500, { message: 'internal' })
export const good = openaiText('good')

export const textOf = ({ raw }: RecordedRequest): string => raw.toString()

/** Fails requests that contain `poison`, answers all others. */
export const breaksOn =
  (failure = broken, answer = good): Script =>
  (request) =>
    textOf(request).includes('poison') ? failure : answer

/** Number of these requests that were answered. */
export async function answered(fleet: Fleet, texts: readonly string[]): Promise<number> {
  let count = 0
  for (const text of texts) {
    const { status } = await fleet.ask(text)
    if (status === 200) count++
  }
  return count
}
