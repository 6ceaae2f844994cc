import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type Child, freePort, listening, startChild } from '../support/child.ts'
import { quantile } from './measure.ts'

/**
 * `node bench/http/shared-redis.ts` (needs redis-server): ten routers, each a process, share one Redis. Prints what each kind
 * of shared state adds to the time of a whole response, its Redis operations, and how many sequential round trips a response
 * waits for: that is its delay when Redis responds late. Takes about two minutes.
 */
const routerCount = 10
const perSecond = 40
const warmUpMs = 3_000
const measuredMs = 8_000
/** Delay of Redis responses, in milliseconds, and duration of the measurement. */
const delayMs = 20
const delayedMs = 4_000

interface Kind {
  name: string
  key: 'free' | 'limited'
  path: string
  model: 'shared' | 'slots'
  /** Continues the previous response. */
  continues?: boolean
}

const chat = '/v1/chat/completions'
const kinds: readonly Kind[] = [
  { name: 'nothing', key: 'free', path: chat, model: 'shared' },
  { name: 'limits of the key', key: 'limited', path: chat, model: 'shared' },
  { name: 'a slot of a target', key: 'free', path: chat, model: 'slots' },
  {
    name: 'a stored response, continued',
    key: 'free',
    path: '/v1/responses',
    model: 'shared',
    continues: true,
  },
  { name: 'all of these', key: 'limited', path: '/v1/responses', model: 'slots', continues: true },
]

process.setMaxListeners(2 * routerCount)
const folder = mkdtempSync(join(tmpdir(), 'llm-router-shared-redis-'))
const children: Child[] = []
let redis: Redis | undefined
let relay: Relay | undefined
try {
  const redisPort = await freePort()
  const redisArgs = ['--port', `${redisPort}`, '--save', '', '--dir', folder, '--bind', '127.0.0.1']
  const server = await startChild('redis-server', redisArgs, (output) =>
    output.includes('Ready to accept connections') ? true : undefined,
  )
  children.push(server.child)
  redis = new Redis(redisPort, '127.0.0.1')
  relay = await startRelay(redisPort)
  const ports = await startRouters(relay.port)
  console.log(`${routerCount} routers, ${perSecond} requests/s over all of them, one Redis\n`)
  console.log(
    '| Shared state | p50 (ms) | p99 (ms) | Redis calls per request | Round trips waited for | Redis, processor time per request (µs) |',
  )
  console.log('|---|--:|--:|--:|--:|--:|')
  for (const kind of kinds) {
    await play(ports, kind, warmUpMs)
    const before = await usage(redis)
    const durations = await play(ports, kind, measuredMs)
    const after = await usage(redis)
    durations.sort((a, b) => a - b)
    relay.delayMs = delayMs
    await play(ports, kind, delayedMs / 4)
    const delayed = (await play(ports, kind, delayedMs)).toSorted((a, b) => a - b)
    relay.delayMs = 0
    const waits = (quantile(delayed, 0.5) - quantile(durations, 0.5)) / delayMs
    const cells = [
      quantile(durations, 0.5).toFixed(2),
      quantile(durations, 0.99).toFixed(2),
      ((after.scripts - before.scripts) / durations.length).toFixed(2),
      waits.toFixed(1),
      (((after.cpuSeconds - before.cpuSeconds) * 1e6) / durations.length).toFixed(0),
    ]
    console.log(`| ${[kind.name, ...cells].join(' | ')} |`)
  }
} finally {
  redis?.disconnect()
  relay?.close()
  for (const child of children) await child.stop()
  rmSync(folder, { recursive: true })
}

interface Relay {
  port: number
  /** How long each Redis response is held back. */
  delayMs: number
  close(): void
}

/** A proxy between the routers and Redis. */
async function startRelay(redisPort: number): Promise<Relay> {
  const relay: Relay = { port: await freePort(), delayMs: 0, close: () => undefined }
  const sockets = new Set<Socket>()
  const server = createServer((router) => {
    const server = connect(redisPort, '127.0.0.1')
    for (const socket of [router, server]) {
      sockets.add(socket.setNoDelay(true))
      socket.on('error', () => undefined)
      socket.on('close', () => {
        router.destroy()
        server.destroy()
      })
    }
    router.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => {
      if (relay.delayMs === 0) router.write(bytes)
      else setTimeout(() => router.write(bytes), relay.delayMs)
    })
  })
  server.listen(relay.port, '127.0.0.1')
  await once(server, 'listening')
  relay.close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return relay
}

async function startRouters(redisPort: number): Promise<number[]> {
  const mock = { api_type: 'mock' }
  const models = {
    bench: {
      shared: { providers: [{ ...mock, id: 's' }] },
      slots: { providers: [0, 1, 2, 3].map((index) => ({ ...mock, id: `p${index}`, max_in_flight: 50 })) },
    },
    active_models: { bench: ['shared', 'slots'] },
  }
  const keys = [
    { id: 'free', key: keyOf('free') },
    {
      id: 'limited',
      key: keyOf('limited'),
      max_concurrent: 1_000,
      requests_per_minute: 1_000_000,
      tokens_per_minute: 100_000_000,
    },
  ]
  const [modelsFile, keysFile] = [join(folder, 'models-config.json'), join(folder, 'keys.json')]
  writeFileSync(modelsFile, JSON.stringify(models))
  writeFileSync(keysFile, JSON.stringify({ keys }))
  const ports: number[] = []
  // One after the other: otherwise they compete for the processors, and none becomes ready.
  for (let index = 0; index < routerCount; index++) {
    const port = await freePort()
    const own = join(folder, `${index}`)
    mkdirSync(own)
    const env = {
      PATH: process.env.PATH ?? '',
      LLM_ROUTER_LOG_LEVEL: 'warn',
      LLM_ROUTER_LOG_FILENAME: '',
      LLM_ROUTER_SERVER_HOST: '127.0.0.1',
      LLM_ROUTER_SERVER_PORT: `${port}`,
      LLM_ROUTER_MODELS_CONFIG: modelsFile,
      LLM_ROUTER_DRAIN_ACCEPT: '0',
      LLM_ROUTER_SHED_DELAY: '0',
      LLM_ROUTER_AUTH_ENABLED: '1',
      LLM_ROUTER_AUTH_MEMORY_SEED_FILE: keysFile,
      LLM_ROUTER_REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    }
    const { child } = await startChild(process.execPath, ['src/server.ts'], () => listening(port), { env })
    children.push(child)
    ports.push(port)
  }
  return ports
}

/** Sends requests at their times, in rotation over the routers. Returns how long each took, in milliseconds. */
async function play(ports: readonly number[], kind: Kind, durationMs: number): Promise<number[]> {
  const last = new Map<number, string>()
  const startedAt = performance.now()
  const running: Promise<number>[] = []
  for (let index = 0; index < (durationMs * perSecond) / 1000; index++) {
    const waitMs = startedAt + (index * 1000) / perSecond - performance.now()
    if (waitMs > 0) await delay(waitMs)
    running.push(ask(ports[index % ports.length] ?? 0, kind, last))
  }
  return await Promise.all(running)
}

async function ask(port: number, kind: Kind, last: Map<number, string>): Promise<number> {
  const { key, path, model, continues } = kind
  const input = continues
    ? { input: 'Hi', previous_response_id: last.get(port) }
    : { messages: [{ role: 'user', content: 'Hi' }] }
  const began = performance.now()
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${keyOf(key)}` },
    body: JSON.stringify({ model, ...input }),
  })
  const answer = (await response.json()) as { id: string }
  const took = performance.now() - began
  if (response.status !== 200) throw new Error(`${kind.name}: ${response.status} ${JSON.stringify(answer)}`)
  // All others continue the first response of a conversation, so they do not grow.
  if (continues && !last.has(port)) last.set(port, answer.id)
  return took
}

async function usage(from: Redis): Promise<{ scripts: number; cpuSeconds: number }> {
  const stats = await from.info('commandstats')
  const cpu = await from.info('cpu')
  const sum = (text: string, pattern: RegExp): number =>
    [...text.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0)
  return {
    scripts: sum(stats, /^cmdstat_eval(?:sha)?:calls=(\d+)/gm),
    cpuSeconds: sum(cpu, /^used_cpu_(?:sys|user):([\d.]+)/gm),
  }
}

function keyOf(id: string): string {
  return `sk-0123456789abcdef-${id}`
}
