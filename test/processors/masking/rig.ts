import assert from 'node:assert/strict'
import { after, afterEach, before } from 'node:test'
import { startRouter } from '../../helpers/router.ts'
import type { RecordedRequest, ScriptedUpstream } from '../../helpers/scripted-upstream.ts'
import { SharedRouter } from '../../helpers/shared-router.ts'
import { startEcho } from '../echo-upstream.ts'

export const address = 'jan.kowalski@firma.pl'

export const chat = (content: unknown, more: object = {}) => ({
  model: 'm',
  messages: [{ role: 'user', content }],
  ...more,
})

/** An echo server, and routers in front of it. Registers the hooks that start and close them. */
export function maskingRig() {
  let echo: ScriptedUpstream
  const shared = new SharedRouter()
  const open: { close(): Promise<void> }[] = []

  before(async () => {
    echo = await startEcho({ say: (text) => ({ text: `You said: ${text}` }) })
  })
  after(async () => {
    await shared.close()
    await echo.close()
  })
  afterEach(async () => {
    for (const each of open.splice(0).toReversed()) await each.close()
  })

  return {
    get echo(): ScriptedUpstream {
      return echo
    },
    /** Closed after each test, the last one first. */
    open,
    /**
     * A router whose models `m` and `other` use the echo server: the router that the tests share, unless it has its own
     * environment.
     */
    async routerWith(
      processors: unknown[],
      options: { env?: Record<string, string>; upstream?: string } = {},
    ) {
      const { env, upstream = echo.url } = options
      const providers = [{ api_type: 'vllm', api_host: upstream, model_path: 'up' }]
      const models = { m: { providers }, other: { providers }, back: { providers, fallbacks: ['m'] } }
      const config = { processors, g: models, active_models: { g: ['m', 'other', 'back'] } }
      if (env === undefined) return shared.with(config)
      const router = await startRouter({ models: config, env })
      open.push(router)
      return router
    },
    /** The last request that reached the server. */
    sent(): RecordedRequest {
      return echo.requests.at(-1) ?? assert.fail('no request was sent')
    },
  }
}
