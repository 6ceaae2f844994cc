import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Status } from '../src/sdk/console/status.ts'
import { scrape } from './helpers/metrics.ts'
import { modelsConfig } from './helpers/router.ts'
import { type RouterProcess, startRouterProcess } from './helpers/router-process.ts'

const reread = 'models-config.json reloaded'

function withTarget(id: string, type = 'mock'): Record<string, unknown> {
  return modelsConfig({ m: [{ id, api_type: type }] })
}

async function start(t: TestContext, env: Record<string, string>): Promise<RouterProcess> {
  const router = await startRouterProcess({
    models: withTarget('first'),
    env: { LLM_ROUTER_USE_PROMETHEUS: '1', LLM_ROUTER_CONFIG_POLL: '0', ...env },
  })
  t.after(() => router.stop())
  return router
}

function write({ file }: RouterProcess, config: unknown): void {
  writeFileSync(file, JSON.stringify(config))
}

/** What a process uses, over a connection of its own: in a cluster each one may lead to another process. */
function statusOf({ url }: RouterProcess): Promise<Status> {
  const agent = new Agent({ keepAlive: false })
  return new Promise((resolve, reject) => {
    get(`${url}/api/status`, { agent }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(JSON.parse(text))
    }).once('error', reject)
  })
}

/** The target of each process, by the number of the process; asks until so many have answered. */
async function targetsOf(router: RouterProcess, processes: number): Promise<string[]> {
  const targets = new Map<number, string>()
  while (targets.size < processes) {
    const { worker, models } = await statusOf(router)
    targets.set(worker, models[0]?.targets[0]?.id ?? '')
  }
  return [...targets.values()]
}

function countOf({ logs }: RouterProcess, message: string): number {
  return logs.filter(({ msg }) => String(msg).includes(message)).length
}

test('SIGHUP has the files read again at once, though nothing in them has changed', async (t) => {
  const router = await start(t, {})
  router.child.kill('SIGHUP')
  const line = await router.logged(({ msg }) => msg === reread)
  assert.deepEqual([line.added, line.removed], [[], []])
})

test('all processes of a cluster take a changed file together, and one of them says so', async (t) => {
  const router = await start(t, { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '3' })
  await router.listening(3)
  write(router, withTarget('second'))
  await router.logged(({ msg }) => msg === reread)
  assert.deepEqual(await targetsOf(router, 3), ['second', 'second', 'second'])
  assert.equal(countOf(router, reread), 1)
  const reloads = await scrape(router.url)
  assert.equal(reloads.sum('llm_router_config_reloads_total', { result: 'success' }), 1)
})

test('SIGHUP to the primary reaches all processes; one to a worker ends nothing', async (t) => {
  const router = await start(t, { LLM_ROUTER_SERVER_TYPE: 'cluster' })
  for (const pid of await router.listening(2)) process.kill(pid, 'SIGHUP')
  router.child.kill('SIGHUP')
  await router.logged(({ msg }) => msg === reread)
  assert.deepEqual(await targetsOf(router, 2), ['first', 'first'])
  assert.equal(countOf(router, reread), 1)
})

test('a broken file is one error line of the cluster, and a process that starts later works without it', async (t) => {
  const router = await start(t, { LLM_ROUTER_SERVER_TYPE: 'cluster' })
  const [pid = 0] = await router.listening(2)
  writeFileSync(router.file, '{"g": }')
  const { msg } = await router.logged(({ level }) => level === 'error')
  assert.ok(String(msg).startsWith(`${router.file}:1:7: not valid JSON`), String(msg))
  process.kill(pid, 'SIGKILL')
  await router.listening(3) // the one that was killed has told so, too
  assert.deepEqual(await targetsOf(router, 2), ['first', 'first'])
  assert.equal(countOf(router, 'the models in use stay in effect'), 1)
  write(router, withTarget('second'))
  await router.logged(({ msg }) => msg === reread)
  assert.deepEqual(await targetsOf(router, 2), ['second', 'second'])
})

test('what one process cannot take none of them takes', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-reload-'))
  t.after(() => rmSync(folder, { recursive: true }))
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
  const router = await start(t, { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_EXTENSIONS: extension })
  await router.listening(2)
  write(router, withTarget('second', 'rare'))
  const { msg } = await router.logged(({ level }) => level === 'error')
  assert.match(String(msg), /"rare" is unknown/)
  assert.deepEqual(await targetsOf(router, 2), ['first', 'first'])
})

test('a broken file of client keys changes nothing, and keeps no process from starting again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-reload-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const keys = join(folder, 'keys.json')
  const key = 'a-key-of-at-least-thirty-two-signs'
  writeFileSync(keys, JSON.stringify({ keys: [{ id: 'a', key }] }))
  const router = await start(t, {
    LLM_ROUTER_SERVER_TYPE: 'cluster',
    LLM_ROUTER_AUTH_ENABLED: '1',
    LLM_ROUTER_AUTH_MEMORY_SEED_FILE: keys,
  })
  const [pid = 0] = await router.listening(2)
  writeFileSync(keys, '{"keys": [}')
  await router.logged(({ level }) => level === 'error')
  process.kill(pid, 'SIGKILL')
  await router.listening(3)
  const asked = { headers: { authorization: `Bearer ${key}`, connection: 'close' } }
  for (let count = 0; count < 6; count++)
    assert.equal((await fetch(`${router.url}/v1/models`, asked)).status, 200)
  assert.equal(countOf(router, 'the client keys in use stay in effect'), 1)
})
