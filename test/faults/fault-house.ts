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
 * `one` has only the upstream with the fault, `pair` has it twice, `two` has a good one beside it. `nowhere` and `plain`
 * have the upstream too, and another one that cannot be reached.
 */
const kinds = ['one', 'pair', 'two', 'nowhere', 'plain'] as const
type Kind = (typeof kinds)[number]

/** An upstream with a fault and a good one, with models of their own in a router. */
export interface House {
  router: TestRouter
  /** Names of its models in the router. */
  models: Record<Kind, string>
  upstream: FaultUpstream
  spare: FaultUpstream
}

export const goodText = 'from the spare'
const goodStream = openaiChunk({ content: goodText }) + openaiChunk({}, 'stop') + openaiDone
const goodJson = wholeJson.replace(faultText, goodText)

interface Plot extends Omit<House, 'router'> {
  script: FaultScript | undefined
}

/** One router for the tests of a file, with a house for each of `count` tests; `open` gives the next one. */
export function sharedHouses(count: number): { open(script: FaultScript): House } {
  const plots: Plot[] = []
  let router: TestRouter | undefined
  let opened = 0
  before(async () => {
    for (let index = 0; index < count; index++) plots.push(await plotOf(index))
    router = await routerOf(plots)
  })
  after(async () => {
    await router?.close()
    await Promise.all(plots.map(closePlot))
  })
  return {
    open(script) {
      const plot = plots[opened++] ?? assert.fail(`more than ${count} houses`)
      plot.script = script
      return { ...plot, router: router ?? assert.fail('no router') }
    },
  }
}

/** A house in a router of its own. */
export async function openWith(
  t: TestContext,
  script: FaultScript,
  options: FaultOptions = {},
): Promise<House> {
  const plot = await plotOf(0, options)
  plot.script = script
  t.after(() => closePlot(plot))
  const router = await routerOf([plot])
  t.after(() => router.close())
  return { ...plot, router }
}

async function plotOf(index: number, options: FaultOptions = {}): Promise<Plot> {
  const upstream = await startFaultUpstream(
    (request, at) => plot.script?.(request, at) ?? assert.fail('not opened yet'),
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
  const plot: Plot = { upstream, spare, models, script: undefined }
  return plot
}

async function closePlot({ upstream, spare }: Plot): Promise<void> {
  await Promise.all([upstream.close(), spare.close()])
}

function routerOf(plots: readonly Plot[]): Promise<TestRouter> {
  let count = 0
  const at = (api_host: string) => ({ id: `box${count++}`, api_type: 'vllm', api_host })
  const models = plots.map(({ models, upstream: { url }, spare }) => ({
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
