import type { TestContext } from 'node:test'
import { startCounting } from '../helpers/counting-upstream.ts'
import { eventually } from '../helpers/eventually.ts'
import { post } from '../helpers/http.ts'
import { startRouterProcess } from '../helpers/router-process.ts'

export interface Played {
  /** Of all answers. */
  statuses: ReadonlySet<number>
  /** The most concurrent requests at the target, which allows one. */
  most: number
  /** The log lines of both routers. */
  logs: readonly Record<string, unknown>[]
}

const clients = 4
const enough = 20

/**
 * Two routers with this Redis share a target that allows one request, under constant load: before, during and
 * after the disruption, which is over when its promise is fulfilled.
 */
export async function underLoad(
  t: TestContext,
  env: Record<string, string>,
  harm: () => Promise<void>,
): Promise<Played> {
  const server = await startCounting()
  const providers = [{ id: 'box', api_type: 'vllm', api_host: server.upstream.url, max_in_flight: 1 }]
  const models = { test_models: { m: { providers } }, active_models: { test_models: ['m'] } }
  const started = await Promise.allSettled(
    [0, 1].map(() => startRouterProcess({ models, env: { LLM_ROUTER_REDIS_DOWN: 'reject', ...env } })),
  )
  const routers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  t.after(async () => {
    await Promise.all(routers.map((router) => router.stop()))
    await server.upstream.close()
  })
  if (routers.length < 2) throw new Error('a router did not start')
  server.open()
  const statuses: number[] = []
  let isOver = false
  const asking = Array.from({ length: clients }, async (_, index) => {
    const url = `${routers[index % routers.length]?.url}/v1/chat/completions`
    const messages = [{ role: 'user', content: 'Hi' }]
    while (!isOver) {
      statuses.push((await post(url, { model: 'm', messages })).status)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })
  const answered = async (more: number): Promise<void> => {
    const wanted = statuses.length + more
    await eventually(() => statuses.length >= wanted)
  }
  try {
    await answered(enough)
    await harm()
    await answered(enough)
    isOver = true
    await Promise.all(asking)
    const logs = routers.flatMap((router) => router.logs)
    return { statuses: new Set(statuses), most: server.most, logs }
  } finally {
    isOver = true
  }
}
