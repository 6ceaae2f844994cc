import type { TestContext } from 'node:test'
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

export interface House {
  router: TestRouter
  upstream: FaultUpstream
  spare: FaultUpstream
}

export const goodText = 'from the spare'
const goodStream = openaiChunk({ content: goodText }) + openaiChunk({}, 'stop') + openaiDone
const goodJson = wholeJson.replace(faultText, goodText)

/**
 * The model `one` has only the upstream with the fault, `pair` has it twice, `two` has a good one beside it. `nowhere` and
 * `plain` have the upstream too, and another one that cannot be reached.
 */
export async function openWith(
  t: TestContext,
  script: FaultScript,
  options: FaultOptions = {},
): Promise<House> {
  const upstream = await startFaultUpstream(script, options)
  const spare = await startFaultUpstream(({ body }) => [
    /"stream": ?true/.test(body.toString())
      ? answerBytes(goodStream, ['content-type: text/event-stream'])
      : answerBytes(goodJson),
  ])
  t.after(async () => {
    await upstream.close()
    await spare.close()
  })
  let count = 0
  const at = (api_host: string) => ({ id: `box${count++}`, api_type: 'vllm', api_host })
  const { url } = upstream
  const router = await startRouter({
    env: { LLM_ROUTER_EXTERNAL_TIMEOUT: '0.3' },
    models: modelsConfig({
      one: [at(url)],
      pair: [at(url), at(url)],
      two: [at(url), at(spare.url)],
      nowhere: [at('http://nowhere.invalid'), at(url)],
      plain: [at(url.replace('http:', 'https:')), at(url)],
    }),
  })
  t.after(() => router.close())
  return { router, upstream, spare }
}
