import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { after, before, beforeEach, describe, test } from 'node:test'
import { childEnv } from '../../helpers/child-env.ts'
import { type RedisServer, startRedis } from '../../helpers/programs/redis-server.ts'
import type { LeaseProcessTask } from './lease-process.ts'

/** Where a process is started unless the task says otherwise. */
let server: RedisServer

interface Line {
  worker?: string
  begin?: string
  end?: string
  /** Nanoseconds on the clock that all processes of the machine share. */
  at: string
  key: string
  /** When the lease was requested, on the same clock. */
  asked: string
  /** Each request of the process has asked once; those that got nothing wait. */
  waiting?: boolean
  done?: boolean
}

type LeaseChild = ChildProcessByStdio<Writable, Readable, null>

interface LeaseProcess {
  child: LeaseChild
  lines: readonly Line[]
  /** Fulfilled when the process has done everything, or has been killed. */
  exit: Promise<void>
  /** Fulfilled at the first line, past or future, that meets the condition. */
  said(condition: (line: Line, index: number) => boolean): Promise<Line>
}

/** Processes that have finished their tasks, for reuse: a start takes longer than most tasks. */
const idle: LeaseChild[] = []
after(() => {
  for (const child of idle) child.stdin.end()
})

function startLeaseProcess(task: Partial<LeaseProcessTask>): LeaseProcess {
  const all = {
    port: task.port ?? server.port,
    model: 'm',
    targets: ['a'],
    tasks: 1,
    rounds: 0,
    ttlMs: 15_000,
    heartbeatMs: 5_000,
  }
  const child =
    idle.pop() ??
    spawn(process.execPath, [join(import.meta.dirname, 'lease-process.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: childEnv(),
    })
  const lines: Line[] = []
  const exit = new Promise<void>((resolve) => {
    let rest = ''
    const end = (): void => {
      child.stdout.off('data', listen)
      child.off('close', end)
      resolve()
    }
    const listen = (chunk: Buffer): void => {
      const parts = (rest + chunk.toString()).split('\n')
      rest = parts.pop() ?? ''
      lines.push(...parts.map((part): Line => JSON.parse(part)))
      if (!lines.at(-1)?.done) return
      end()
      idle.push(child)
    }
    child.stdout.on('data', listen)
    child.once('close', end)
  })
  child.stdin.write(`${JSON.stringify({ ...all, ...task })}\n`)
  return {
    child,
    lines,
    exit,
    async said(condition) {
      for (;;) {
        const line = lines.find(condition)
        if (line) return line
        const over = await Promise.race([once(child.stdout, 'data').then(() => false), exit.then(() => true)])
        if (over && !lines.some(condition)) throw new Error('the process ended before')
      }
    },
  }
}

interface Use {
  target: string
  from: bigint
  to: bigint
}

/** When each target was in use. What a killed process did not end, its death ended. */
function uses({ lines }: LeaseProcess, killedAt?: bigint): Use[] {
  const found: Use[] = []
  for (const { begin, at, key } of lines) {
    if (begin === undefined) continue
    const end = lines.find((line) => line.end !== undefined && line.key === key)
    const to = end ? BigInt(end.at) : killedAt
    if (to !== undefined) found.push({ target: begin, from: BigInt(at), to })
  }
  return found
}

function overlaps(all: readonly Use[]): Use[] {
  const sorted = all.toSorted((a, b) => Number(a.from - b.from))
  const lastEnd = new Map<string, bigint>()
  return sorted.filter(({ target, from, to }) => {
    const before = lastEnd.get(target) ?? 0n
    lastEnd.set(target, to > before ? to : before)
    return from < before
  })
}

/** The last release of a process that has ended may still be in the socket; an expiry would take much longer. */
async function assertNothingLeft(): Promise<void> {
  const signal = AbortSignal.timeout(5_000)
  const left = () => Promise.all(['*:leases:*', 'llm-router:owned:*'].map((keys) => server.redis.keys(keys)))
  for (let keys = await left(); keys.flat().length > 0; keys = await left())
    assert.ok(!signal.aborted, keys.flat().join())
}

// The long freeze has a separate Redis, so that the others need not wait for it.
describe('leases in Redis under failures', { concurrency: 2 }, () => {
  test('while Redis is frozen for ten seconds leases stay unchanged, and afterwards requests continue', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const { port } = own
    const holder = startLeaseProcess({ port, targets: ['a'] })
    await holder.said(({ begin }) => begin === 'a')
    const value = await own.redis.zrange('{m:m}:leases:a', '0', '-1')
    const workers = [0, 1].map(() => startLeaseProcess({ port, targets: ['a', 'b'], tasks: 2, rounds: 80 }))
    await Promise.all(workers.map(({ said }) => said(({ end }) => end !== undefined)))
    own.process.kill('SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 10_000)) // the failure itself takes this long
    own.process.kill('SIGCONT')
    await Promise.all(workers.map(({ exit }) => exit))
    assert.deepEqual(await own.redis.zrange('{m:m}:leases:a', '0', '-1'), value)
    holder.child.kill('SIGKILL')
    await holder.exit
    const all = workers.flatMap((each) => uses(each))
    assert.equal(all.length, 2 * 2 * 80)
    assert.ok(all.every(({ target }) => target === 'b'))
    assert.deepEqual(overlaps(all), [])
  })

  describe('on one Redis', { concurrency: 1 }, () => {
    before(async () => {
      server = await startRedis()
    })
    beforeEach(() => server.redis.flushall())
    after(() => server.stop())

    test('four processes under load never share a target, even if Redis freezes for a second in between', async () => {
      const targets = ['a', 'b', 'c']
      const processes = Array.from({ length: 4 }, () => startLeaseProcess({ targets, tasks: 6, rounds: 30 }))
      await Promise.all(processes.map(({ said }) => said(({ end }) => end !== undefined)))
      server.process.kill('SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, 1_000)) // the failure itself takes this long
      server.process.kill('SIGCONT')
      await Promise.all(processes.map(({ exit }) => exit))
      const all = processes.flatMap((each) => uses(each))
      assert.equal(all.length, 4 * 6 * 30)
      assert.deepEqual(overlaps(all), [])
      await assertNothingLeft()
    })

    test('requests of two processes wait about equally long for one target', async () => {
      const processes = [0, 1].map(() => startLeaseProcess({ tasks: 20, rounds: 12 }))
      await Promise.all(processes.map(({ exit }) => exit))
      const waits = processes.map(({ lines }) =>
        lines
          .filter(({ begin }) => begin !== undefined)
          .map(({ at, asked }) => Number(BigInt(at) - BigInt(asked)) / 1e6),
      )
      const means = waits.map((list) => list.reduce((sum, wait) => sum + wait, 0) / list.length)
      const [first = 0, second = 0] = means
      const all = waits.flat().toSorted((a, b) => a - b)
      const p99 = all[Math.floor(all.length * 0.99)] ?? 0
      assert.ok(Math.max(first, second) < 2 * Math.min(first, second), `means ${means}`)
      assert.ok(p99 < 4 * ((first + second) / 2), `p99 ${p99}, means ${means}`)
      assert.deepEqual(overlaps(processes.flatMap((each) => uses(each))), [])
    })

    test('of a thousand requests that wait in two processes each gets its turn', async () => {
      const targets = ['a', 'b']
      const holder = startLeaseProcess({ targets, tasks: 2, ttlMs: 1_000, heartbeatMs: 250 })
      await Promise.all(targets.map((target) => holder.said(({ begin }) => begin === target)))
      const processes = [0, 1].map(() => startLeaseProcess({ targets, tasks: 500, rounds: 1 }))
      await Promise.all(processes.map(({ said }) => said(({ waiting }) => waiting === true)))
      holder.child.kill('SIGKILL')
      await Promise.all(processes.map(({ exit }) => exit))
      const all = processes.flatMap((each) => uses(each))
      assert.equal(new Set(all.map(({ from }) => from)).size, 1_000)
      assert.deepEqual(overlaps(all), [])
      // Within each process, requests are served in order of arrival.
      for (const { lines } of processes) {
        const asked = lines.filter(({ begin }) => begin !== undefined).map((line) => line.asked)
        assert.deepEqual(asked, asked.toSorted())
      }
      await assertNothingLeft()
    })

    test('a freed target goes to a waiting process immediately, not only at its next poll', async () => {
      const processes = [0, 1].map(() => startLeaseProcess({ tasks: 2, rounds: 40, pollMs: 2_000 }))
      await Promise.all(processes.map(({ exit }) => exit))
      const sorted = processes.flatMap((each) => uses(each)).toSorted((a, b) => Number(a.from - b.from))
      const gaps = sorted.slice(1).map(({ from }, index) => Number(from - (sorted[index]?.to ?? 0n)) / 1e6)
      const median = gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 0
      assert.ok(median < 200, `${median} ms`)
    })

    test('the leases of a killed process are free after their expiry and not before', async () => {
      const [ttlMs, heartbeatMs] = [1_000, 250]
      const dead = startLeaseProcess({ ttlMs, heartbeatMs })
      const held = await dead.said(({ begin }) => begin === 'a')
      dead.child.kill('SIGKILL')
      await dead.exit
      const diedAt = process.hrtime.bigint()
      const heir = startLeaseProcess({ ttlMs, heartbeatMs })
      const taken = await heir.said(({ begin }) => begin === 'a')
      heir.child.kill('SIGKILL')
      await heir.exit
      const freeAfterMs = Number(BigInt(taken.at) - diedAt) / 1e6
      // The default expiry is 15 s.
      assert.ok(freeAfterMs < ttlMs + 5_000, `${freeAfterMs} ms`)
      assert.ok(Number(BigInt(taken.at) - BigInt(held.at)) / 1e6 > ttlMs - 50)
    })

    test('a process that starts frees no lease of another', async () => {
      const holder = startLeaseProcess({})
      await holder.said(({ begin }) => begin === 'a')
      const before = await server.redis.zrange('{m:m}:leases:a', '0', '-1')
      const newcomer = startLeaseProcess({ model: 'm', targets: ['a', 'b'] })
      assert.equal((await newcomer.said(({ begin }) => begin !== undefined)).begin, 'b')
      assert.deepEqual(await server.redis.zrange('{m:m}:leases:a', '0', '-1'), before)
      for (const { child, exit } of [holder, newcomer]) {
        child.kill('SIGKILL')
        await exit
      }
    })
  })
})
