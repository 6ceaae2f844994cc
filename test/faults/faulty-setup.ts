import assert from 'node:assert/strict'
import { after, before, type TestContext } from 'node:test'
import {
  answerBytes,
  type FaultOptions,
  type FaultScript,
  type FaultUpstream,
  startFaultUpstream,
} from '../helpers/fault-upstream.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiChunk, openaiDone } from '../helpers/scripted-upstream.ts'
import { faultText, wholeJson } from './upstream-faults.ts'

/**
 * Models: `one` has only the faulty upstream, `pair` has it twice, `two` has a working one beside it. `nowhere`
 * and `plain` have the faulty upstream and another one that cannot be reached.
 */
const kinds = ['one', 'pair', 'two', 'nowhere', 'plain'] as const
type Kind = (typeof kinds)[number]

/** A faulty upstream and a working one, with separate models in a router. */
export interface FaultySetup {
  router: TestRouter
  /** Names of its models in the router. */
  models: Record<Kind, string>
  upstream: FaultUpstream
  spare: FaultUpstream
}

export const goodText = 'from the spare'
const goodStream = openaiChunk({ content: goodText }) + openaiChunk({}, 'stop') + openaiDone
const goodJson = wholeJson.replace(faultText, goodText)

interface FaultyUpstreams extends Omit<FaultySetup, 'router'> {
  script: FaultScript | undefined
}

/** One router for the tests of a file, with one setup for each of `count` tests; `open` returns the next one. */
export function sharedSetups(count: number): { open(script: FaultScript): FaultySetup } {
  const setups: FaultyUpstreams[] = []
  let router: TestRouter | undefined
  let opened = 0
  before(async () => {
    for (let index = 0; index < count; index++) setups.push(await startUpstreams(index))
    router = await routerOf(setups)
  })
  after(async () => {
    await router?.close()
    await Promise.all(setups.map(closeUpstreams))
  })
  return {
    open(script) {
      const upstreams = setups[opened++] ?? assert.fail(`more than ${count} setups`)
      upstreams.script = script
      return { ...upstreams, router: router ?? assert.fail('no router') }
    },
  }
}

/** A setup in its own router. */
export async function openWith(
  t: TestContext,
  script: FaultScript,
  options: FaultOptions = {},
): Promise<FaultySetup> {
  const upstreams = await startUpstreams(0, options)
  upstreams.script = script
  t.after(() => closeUpstreams(upstreams))
  const router = await routerOf([upstreams])
  t.after(() => router.close())
  return { ...upstreams, router }
}

async function startUpstreams(index: number, options: FaultOptions = {}): Promise<FaultyUpstreams> {
  const upstream = await startFaultUpstream(
    (request, at) => upstreams.script?.(request, at) ?? assert.fail('not opened yet'),
    options,
  )
  const spare = await startFaultUpstream(({ body }) => [
    /"stream": ?true/.test(body.toString())
      ? answerBytes(goodStream, ['content-type: text/event-stream'])
      : answerBytes(goodJson),
  ])
  const name = (kind: Kind): string => `${kind}-${index}`
  const models = {
    one: name('one'),
    pair: name('pair'),
    two: name('two'),
    nowhere: name('nowhere'),
    plain: name('plain'),
  }
  const upstreams: FaultyUpstreams = { upstream, spare, models, script: undefined }
  return upstreams
}

async function closeUpstreams({ upstream, spare }: FaultyUpstreams): Promise<void> {
  await Promise.all([upstream.close(), spare.close()])
}

function routerOf(setups: readonly FaultyUpstreams[]): Promise<TestRouter> {
  let count = 0
  const at = (api_host: string) => ({ id: `box${count++}`, api_type: 'vllm', api_host })
  const models = setups.map(({ models, upstream: { url }, spare }) => ({
    [models.one]: [at(url)],
    [models.pair]: [at(url), at(url)],
    [models.two]: [at(url), at(spare.url)],
    [models.nowhere]: [at('http://nowhere.invalid'), at(url)],
    [models.plain]: [at(url.replace('http:', 'https:')), at(url)],
  }))
  return startRouter({
    env: { LLM_ROUTER_EXTERNAL_TIMEOUT: '0.3' },
    models: modelsConfig(Object.assign({}, ...models)),
  })
}
