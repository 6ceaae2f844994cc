import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { type Series, scrape } from '../helpers/metrics.ts'
import { endOf, everything, runningWorkers, type Topic } from './workers.ts'

const path = '/v1/chat/completions'

/** Metrics on the administration port. */
export function metrics(): Topic & { env(): Promise<Record<string, string>> } {
  let port = 0
  return {
    models: async () => ({ demo: { providers: [{ id: 'demo', api_type: 'mock' }] } }),
    async env() {
      port = await freePort()
      return {
        LLM_ROUTER_USE_PROMETHEUS: '1',
        LLM_ROUTER_ADMIN_PORT: `${port}`,
        LLM_ROUTER_DRAIN_ACCEPT: '0',
      }
    },
    close: async () => undefined,
    tests: (cluster) => metricsTests(cluster, () => scrape(`http://127.0.0.1:${port}`, everything)),
  }
}

/** Sends a request over a new connection, so to any worker. */
async function fresh(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...everything, connection: 'close' }
  return fetch(url, { ...init, headers })
}

const body = JSON.stringify({ model: 'demo', messages })

const chats = (series: Series): number =>
  series.sum('http_requests_total', { method: 'POST', endpoint: path, http_status: '200' })

function metricsTests(cluster: Parameters<Topic['tests']>[0], scraped: () => Promise<Series>): void {
  /** Sends chats over new connections; returns how many. */
  async function chat(count: number): Promise<number> {
    const answers = await Promise.all(
      Array.from({ length: count }, () => fresh(cluster.router.url + path, { method: 'POST', body })),
    )
    for (const answer of answers) {
      assert.equal(answer.status, 200)
      await answer.text()
    }
    return count
  }

  /** The metrics once they include what was sent: a request is counted when its connection has closed. */
  async function counted(expected: number): Promise<Series> {
    return await eventually(async () => {
      const series = await scraped()
      return chats(series) >= expected && series
    })
  }

  test('any worker returns the metrics of all workers, including those that have ended', async (t) => {
    const sent = await chat(40)
    await t.test('counters are summed exactly, and are the same in each scrape', async () => {
      await counted(sent)
      for (let index = 0; index < 6; index++) {
        const series = await scraped()
        assert.equal(chats(series), sent)
        assert.equal(series.sum('llm_router_provider_calls_total', { model_name: 'demo' }), sent)
        assert.equal(series.sum('llm_router_provider_latency_seconds_count', { model_name: 'demo' }), sent)
        assert.equal(series.sum('llm_router_workers'), 2)
      }
    })

    await t.test('gauges of a state are not summed', async () => {
      const series = await scraped()
      assert.equal(series.sum('llm_router_target_usable', { target: 'demo' }), 1)
      assert.equal(series.sum('llm_router_build_info'), 1)
      assert.equal(series.sum('llm_router_config_info'), 1)
      assert.equal(series.sum('llm_router_target_breaker_state', { target: 'demo', state: 'closed' }), 2)
    })

    await t.test('a killed worker does not reduce counters that were scraped', async () => {
      const [victim = 0] = await runningWorkers(cluster.router)
      const before = await scraped()
      process.kill(victim, 'SIGKILL')
      await endOf(cluster.router, victim)
      await runningWorkers(cluster.router)
      const after = await scraped()
      assert.equal(chats(after), sent)
      for (const name of before.names) {
        if (!/^(?:http|llm_router)_.*(?:_total|_count|_bucket)\b/.test(name)) continue
        assert.ok(after.sum(name) >= before.sum(name), name)
      }
      assert.equal(after.sum('llm_router_workers'), 2)
    })

    await t.test('a worker that shuts down gracefully hands over what was not scraped yet', async () => {
      const [ending = 0] = await runningWorkers(cluster.router)
      const more = await chat(20)
      const replaced = cluster.router.next(({ msg }) => msg === 'listening')
      process.kill(ending, 'SIGTERM')
      await replaced
      assert.equal(chats(await counted(sent + more)), sent + more)
    })
  })
}
