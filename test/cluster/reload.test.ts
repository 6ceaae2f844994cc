import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Status } from '../../src/sdk/console/status.ts'
import { scrape } from '../helpers/metrics.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'

const reread = 'models-config.json reloaded'

function withTarget(id: string, type = 'mock'): Record<string, unknown> {
  return modelsConfig({ m: [{ id, api_type: type }] })
}

// Each test leaves two workers that have taken the same valid files; the next one starts from whatever these are.
// test/server.test.ts shows a reload without a cluster.
describe('in a cluster', () => {
  const key = 'a-key-of-at-least-thirty-two-signs'
  const validKeys = JSON.stringify({ keys: [{ id: 'a', key, surfaces: ['openai', 'operator'] }] })
  const headers = { authorization: `Bearer ${key}` }
  let folder: string
  let keys: string
  let router: RouterProcess

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'llm-router-reload-'))
    keys = join(folder, 'keys.json')
    writeFileSync(keys, validKeys)
    const extension = join(folder, 'second-only.ts')
    // A type of servers that the second process alone knows.
    writeFileSync(
      extension,
      `import cluster from 'node:cluster'
export default async (app) => {
  if (cluster.worker.id === 2) app.providers.add({ ...app.providers.get('mock'), name: 'rare' })
}
`,
    )
    router = await startRouterProcess({
      models: withTarget('first'),
      env: {
        LLM_ROUTER_SERVER_TYPE: 'cluster',
        LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
        LLM_ROUTER_EXTENSIONS: extension,
        LLM_ROUTER_AUTH_ENABLED: '1',
        LLM_ROUTER_AUTH_MEMORY_SEED_FILE: keys,
        LLM_ROUTER_USE_PROMETHEUS: '1',
        LLM_ROUTER_CONFIG_POLL: '0',
      },
    })
    await router.listening(2)
  })
  after(async () => {
    await router.stop()
    rmSync(folder, { recursive: true })
  })

  /** What a process uses, over a connection of its own: each one may lead to another process. */
  function statusOf(): Promise<Status> {
    const agent = new Agent({ keepAlive: false })
    return new Promise((resolve, reject) => {
      get(`${router.url}/api/status`, { agent, headers }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve(JSON.parse(text))
      }).once('error', reject)
    })
  }

  /** The target of both processes; asks until both have answered. */
  async function targets(): Promise<string[]> {
    const found = new Map<number, string>()
    while (found.size < 2) {
      const { worker, models } = await statusOf()
      found.set(worker, models[0]?.targets[0]?.id ?? '')
    }
    return [...found.values()]
  }

  /** The lines with this message, of those logged since there were so many. */
  function countOf(message: string, from: number): number {
    return router.logs.slice(from).filter(({ msg }) => String(msg).includes(message)).length
  }

  /** Writes the models file and waits until it is in use. */
  async function use(target: string): Promise<void> {
    const reloaded = router.next(({ msg }) => msg === reread)
    writeFileSync(router.file, JSON.stringify(withTarget(target)))
    await reloaded
    assert.deepEqual(await targets(), [target, target])
  }

  /** Kills a worker, never the second one, and waits for the one in its place. */
  async function killWorker(): Promise<void> {
    const { workers } = await statusOf()
    const victim = workers.find(({ worker }) => worker !== 2) ?? assert.fail('no other worker')
    const listens = router.next(({ msg, pid }) => msg === 'listening' && pid !== victim.pid)
    process.kill(victim.pid, 'SIGKILL')
    await listens // the one that was killed has told so, too
  }

  test('all processes take a changed file together, and one of them says so', async () => {
    const from = router.logs.length
    const counter = ['llm_router_config_reloads_total', { result: 'success' }] as const
    const before = (await scrape(router.url, headers)).sum(...counter)
    await use('changed')
    assert.equal(countOf(reread, from), 1)
    assert.equal((await scrape(router.url, headers)).sum(...counter), before + 1)
  })

  test('SIGHUP to the primary reaches all processes; one to a worker ends nothing', async () => {
    const from = router.logs.length
    const used = await targets()
    const { workers } = await statusOf()
    const reloaded = router.next(({ msg }) => msg === reread)
    for (const { pid } of workers) process.kill(pid, 'SIGHUP')
    router.child.kill('SIGHUP')
    await reloaded
    assert.deepEqual(await targets(), used)
    assert.equal(countOf(reread, from), 1)
    assert.deepEqual(
      (await statusOf()).workers.map(({ pid }) => pid),
      workers.map(({ pid }) => pid),
    )
  })

  test('a broken file is one error line of the cluster, and a process that starts later works without it', async () => {
    const from = router.logs.length
    const used = await targets()
    const refused = router.next(({ level }) => level === 'error')
    writeFileSync(router.file, '{"g": }')
    const { msg } = await refused
    assert.ok(String(msg).startsWith(`${router.file}:1:7: not valid JSON`), String(msg))
    await killWorker()
    assert.deepEqual(await targets(), used)
    assert.equal(countOf('the models in use stay in effect', from), 1)
    await use('mended')
  })

  test('what one process cannot take none of them takes', async () => {
    const used = await targets()
    const refused = router.next(({ level }) => level === 'error')
    writeFileSync(router.file, JSON.stringify(withTarget('second', 'rare')))
    const { msg } = await refused
    assert.match(String(msg), /"rare" is unknown/)
    assert.deepEqual(await targets(), used)
    await use('known')
  })

  test('a broken file of client keys changes nothing, and keeps no process from starting again', async () => {
    const from = router.logs.length
    const refused = router.next(({ level }) => level === 'error')
    writeFileSync(keys, '{"keys": [}')
    await refused
    await killWorker()
    const asked = { headers: { ...headers, connection: 'close' } }
    for (let count = 0; count < 6; count++)
      assert.equal((await fetch(`${router.url}/v1/models`, asked)).status, 200)
    assert.equal(countOf('the client keys in use stay in effect', from), 1)
    const mended = router.next(({ msg }) => String(msg).includes('client keys'))
    writeFileSync(keys, validKeys)
    assert.match(String((await mended).msg), /reloaded/)
  })
})
