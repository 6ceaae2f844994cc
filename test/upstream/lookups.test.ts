import assert from 'node:assert/strict'
import dns, { type LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import { mock, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { Series } from '../helpers/metrics.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

type Done = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void

for (const allowsLinkLocal of ['0', '1'])
  test(`requests for a name that is being resolved share the lookup, link-local addresses ${allowsLinkLocal}`, async (t) => {
    const asked = new EventTarget()
    const lookups: Done[] = []
    const { lookup } = dns
    mock.method(dns, 'lookup', (hostname: string, options: dns.LookupAllOptions, done: Done) => {
      if (hostname !== 'llm.test') {
        lookup(hostname, options, done)
        return
      }
      lookups.push(done)
      asked.dispatchEvent(new Event('lookup'))
    })
    syncBuiltinESMExports()
    const upstream = await startUpstream(openaiText('Hi'))
    const router = await startRouter({
      models: modelsConfig({
        m: [{ id: 'm', api_type: 'openai', api_host: upstream.url.replace('127.0.0.1', 'llm.test') }],
      }),
      env: { LLM_ROUTER_ALLOW_LINK_LOCAL: allowsLinkLocal, LLM_ROUTER_USE_PROMETHEUS: '1' },
    })
    t.after(async () => {
      mock.restoreAll()
      syncBuiltinESMExports()
      await router.close()
      await upstream.close()
    })
    const firstLookup = once(asked, 'lookup')
    const body = { model: 'm', messages }
    const answers = Array.from({ length: 20 }, () => post(`${router.url}/v1/chat/completions`, body))
    await firstLookup
    const inFlight = async (): Promise<number> =>
      new Series((await router.app.inject({ url: '/metrics' })).payload).sum(
        'llm_router_target_calls_in_flight',
      )
    await eventually(async () => (await inFlight()) === 20)
    assert.equal(lookups.length, 1)
    lookups[0]?.(null, [{ address: '127.0.0.1', family: 4 }])
    assert.deepEqual(
      (await Promise.all(answers)).map(({ status }) => status),
      Array.from({ length: 20 }, () => 200),
    )
  })
