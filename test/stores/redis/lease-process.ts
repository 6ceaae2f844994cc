import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { LeaseQueue } from '../../../src/plugins/balancer/lease-queue.ts'
import { RedisLeases } from '../../../src/stores/leases/redis.ts'
import { LocalQueue } from '../../../src/stores/queue/local.ts'
import { connectRedis } from '../../../src/stores/redis/client.ts'
import { storedRequest } from '../stored-request.ts'

/** A separate process that takes leases as each line of its input says, and reports them: see startLeaseProcess. */
export interface LeaseProcessTask {
  port: number
  model: string
  targets: string[]
  /** Concurrent requests. */
  tasks: number
  /** Requests of each, one after the other; 0: each takes one lease and keeps it. */
  rounds: number
  ttlMs: number
  heartbeatMs: number
  /** How often a waiting request asks without being notified; by default every 50 to 250 ms. */
  pollMs?: number
}

async function play({
  port,
  model,
  targets,
  tasks,
  rounds,
  ttlMs,
  heartbeatMs,
  pollMs,
}: LeaseProcessTask): Promise<void> {
  const worker = randomBytes(6).toString('hex')
  const now = () => performance.now()
  const store = new RedisLeases({
    link: connectRedis({ url: undefined, host: '127.0.0.1', port, db: 0, password: undefined }),
    worker,
    ttlMs,
    heartbeatMs,
    outageMs: 60_000,
    whenDown: 'reject',
    now,
    log: { info: () => undefined, warn: () => undefined },
  })
  const queue = new LeaseQueue({
    model,
    turns: new LocalQueue({ pollMs: { min: pollMs ?? 50, max: pollMs ?? 250 }, random: Math.random }),
    timeoutMs: 60_000,
    size: 10_000,
    now,
  })
  store.onFreed(() => queue.wake())
  await store.started()
  say({ worker })
  let tries = 0

  async function request(): Promise<void> {
    const asked = process.hrtime.bigint()
    const candidates = targets.map((id) => ({ id, host: id, isLastResort: false, slots: 1 }))
    const queued = storedRequest({ model, store, targets: () => candidates })
    const lease = await queue.acquire({
      ...queued,
      take: () =>
        // After as many attempts as there are requests, none still has its first one on the way: they all wait.
        queued.take().finally(() => {
          if (++tries === tasks) say({ waiting: true })
        }),
    })
    const target = lease.target.id
    const from = process.hrtime.bigint()
    say({ begin: target, at: String(from), key: lease.key, asked: String(asked) })
    if (rounds === 0) return
    await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 4))
    // Reported before the release: the target is unused in between.
    say({ end: target, at: String(process.hrtime.bigint()), key: lease.key })
    await store.release(lease)
  }

  await Promise.all(
    Array.from({ length: tasks }, async () => {
      for (let round = 0; round < Math.max(rounds, 1); round++) await request()
    }),
  )
  if (rounds > 0) {
    await store.close()
    say({ done: true })
  }
}

/** Written immediately, so that a killed process has reported all that it did. */
function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

for await (const line of createInterface({ input: process.stdin })) await play(JSON.parse(line))
