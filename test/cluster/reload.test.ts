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

// Each test leaves two workers with the same valid configuration; the next one starts from there.
// test/server.test.ts covers a reload without a cluster.
describe('a reload in a cluster', () => {
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
    // A provider type that only the second process knows.
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

  /** The status of a process, over a new connection: each one may reach another process. */
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

  /** The target in both processes; repeats until both have responded. */
  async function targets(): Promise<string[]> {
    const found = new Map<number, string>()
    while (found.size < 2) {
      const { worker, models } = await statusOf()
      found.set(worker, models[0]?.targets[0]?.id ?? '')
    }
    return [...found.values()]
  }

  /** The number of log lines with this message, from this index on. */
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

  /** Kills a worker other than the second one, and waits for its replacement. */
  async function killWorker(): Promise<void> {
    const { workers } = await statusOf()
    const victim = workers.find(({ worker }) => worker !== 2) ?? assert.fail('no other worker')
    const listens = router.next(({ msg, pid }) => msg === 'listening' && pid !== victim.pid)
    process.kill(victim.pid, 'SIGKILL')
    await listens // the killed worker has logged this too
  }

  test('a changed file is loaded by all processes together, and logged by one of them', async () => {
    const from = router.logs.length
    const counter = ['llm_router_config_reloads_total', { result: 'success' }] as const
    const before = (await scrape(router.url, headers)).sum(...counter)
    await use('changed')
    assert.equal(countOf(reread, from), 1)
    assert.equal((await scrape(router.url, headers)).sum(...counter), before + 1)
  })

  test('SIGHUP to the primary reloads all processes, and to a worker has no effect', async () => {
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

  test('an invalid file is one error line of the cluster, and a later process starts without it', async () => {
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

  test('a file that one process rejects is used by none of them', async () => {
    const used = await targets()
    const refused = router.next(({ level }) => level === 'error')
    writeFileSync(router.file, JSON.stringify(withTarget('second', 'rare')))
    const { msg } = await refused
    assert.match(String(msg), /"rare" is unknown/)
    assert.deepEqual(await targets(), used)
    await use('known')
  })

  test('an invalid keys file changes nothing, and does not prevent a restart of a process', async () => {
    const from = router.logs.length
    const refused = router.next(({ level }) => level === 'error')
    writeFileSync(keys, '{"keys": [}')
    await refused
    await killWorker()
    const asked = { headers: { ...headers, connection: 'close' } }
    for (let count = 0; count < 6; count++)
      assert.equal((await fetch(`${router.url}/v1/models`, asked)).status, 200)
    assert.equal(countOf('the client keys in use stay in effect', from), 1)
    const reloaded = router.next(({ msg }) => String(msg).includes('client keys'))
    writeFileSync(keys, validKeys)
    assert.match(String((await reloaded).msg), /reloaded/)
  })
})
