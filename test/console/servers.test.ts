import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Status } from '../../src/sdk/console/status.ts'
import { closedPort } from '../helpers/http.ts'
import { startRouter } from '../helpers/router.ts'
import { openEvents } from './event-reader.ts'
import { operator, operatorKey } from './fleet.ts'

test('the status names the server of each target, by its id in the configuration or by one without its address', async (t) => {
  const [shared, own, named] = [await closedPort(), await closedPort(), await closedPort()]
  const router = await startRouter({
    env: { LLM_ROUTER_ADMIN_KEY: operatorKey },
    models: {
      active_models: { all: ['one', 'two', 'three'] },
      servers: [{ id: 'gpu-a', api_type: 'vllm', api_host: named }],
      all: {
        one: { providers: [{ api_type: 'vllm', api_host: shared }, { server: 'gpu-a' }] },
        two: {
          providers: [
            { id: 'other', api_type: 'vllm', api_host: `${shared}/` },
            { id: 'alone', api_type: 'vllm', api_host: own },
          ],
        },
        three: { providers: [{ id: 'built-in', api_type: 'mock' }, { server: 'gpu-a' }] },
      },
    },
  })
  t.after(() => router.close())
  const hostOf = (url: string) => new URL(url).host
  const targetsIn = ({ models }: Status) => models.flatMap(({ targets }) => targets)
  const statusFor = async (headers: Record<string, string>): Promise<Status> =>
    JSON.parse(await (await fetch(`${router.url}/api/status`, { headers })).text())
  assert.deepEqual(
    targetsIn(await statusFor(operator)).map(({ server, host }) => [server, host]),
    [
      ['server 1', hostOf(shared)],
      ['gpu-a', hostOf(named)],
      ['server 1', hostOf(shared)],
      ['server 2', hostOf(own)],
      ['built-in', undefined],
      ['gpu-a', hostOf(named)],
    ],
  )
  // Without an operator key, the status says which targets share a server, but not where it is.
  const open = await statusFor({})
  assert.deepEqual(
    targetsIn(open).map(({ server }) => server),
    ['server 1', 'gpu-a', 'server 1', 'server 2', 'built-in', 'gpu-a'],
  )
  assert.doesNotMatch(JSON.stringify(open), /127\.0\.0\.1|"host"/)
  const events = await openEvents(router.url, { headers: operator })
  const first = await events.next('status')
  assert.equal(targetsIn(first.data as Status)[0]?.host, hostOf(shared))
  events.close()
})
