import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../support/child.ts'
import { caseNamed } from './cases.ts'
import type { LoadResult } from './load.ts'
import { quantile } from './measure.ts'
import { type MeasuredProxy, otherCpu, startOn, startStage } from './stage.ts'

/**
 * `node bench/http/leases.ts` (needs redis-server) compares the time of a whole JSON response with `first_available`, whose
 * leases are in a Redis on this machine, and with `balanced`, at a rate at which the target is always free. Also prints the
 * Redis operations of a request. Exit code 1 if the bound is missed.
 */
const maxMoreP50Ms = 1
const perSecond = 50
const turns = 4
const turnMs = 5_000
const name = 'JSON, 1 KB in, 0.5 KB out'

const benchCase = caseNamed(name)

const folder = mkdtempSync(join(tmpdir(), 'llm-router-redis-'))
const redisPort = await freePort()
const redisArgs = ['--port', `${redisPort}`, '--save', '', '--dir', folder, '--bind', '127.0.0.1']
const server = await startOn(otherCpu, ['redis-server', ...redisArgs], (output) =>
  output.includes('Ready to accept connections') ? true : undefined,
)
const redis = new Redis(redisPort, '127.0.0.1')
const stage = await startStage()
try {
  const leasing = await stage.addRouter('`first_available`, Redis', {
    LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
    LLM_ROUTER_REDIS_HOST: '127.0.0.1',
    LLM_ROUTER_REDIS_PORT: `${redisPort}`,
  })
  await play(stage.router, 2 * turnMs)
  await play(leasing, 2 * turnMs)
  const balancedMs: number[] = []
  const leasedMs: number[] = []
  const did = new Map<string, number>()
  for (let turn = 0; turn < turns; turn++) {
    balancedMs.push(...(await play(stage.router, turnMs)).wholeMs)
    const before = await counts()
    leasedMs.push(...(await play(leasing, turnMs)).wholeMs)
    for (const [what, count] of await counts()) {
      did.set(what, (did.get(what) ?? 0) + count - (before.get(what) ?? 0))
    }
  }
  print(
    balancedMs.sort((a, b) => a - b),
    leasedMs.sort((a, b) => a - b),
  )
  printRedis(did, leasedMs.length)
} finally {
  await stage.close()
  redis.disconnect()
  await server.child.stop()
  rmSync(folder, { recursive: true })
}

async function play(proxy: MeasuredProxy, durationMs: number): Promise<LoadResult> {
  proxy.forgetLog()
  return await stage.load(proxy, benchCase, durationMs, perSecond)
}

/** Redis operations so far: reads from connections, and runs of each command, including those inside scripts. */
async function counts(): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  const reads = /^total_reads_processed:(\d+)/m.exec(await redis.info('stats'))?.[1]
  found.set('reads', Number(reads))
  for (const [, command = '', calls] of (await redis.info('commandstats')).matchAll(
    /^cmdstat_(\S+?):calls=(\d+)/gm,
  )) {
    if (command !== 'info') found.set(command, Number(calls))
  }
  return found
}

function print(balanced: readonly number[], leased: readonly number[]): void {
  const both = [0.5, 0.99].map((share) => [quantile(balanced, share), quantile(leased, share)] as const)
  console.log(`${name}, ${perSecond} requests/s, ${leased.length} requests each; the whole answer (ms)\n`)
  console.log('| | `balanced` | `first_available`, Redis | more |\n|---|--:|--:|--:|')
  for (const [index, [without, withLease]] of both.entries()) {
    const cells = [without, withLease, withLease - without].map((value) => value.toFixed(2))
    console.log(`| ${[index === 0 ? 'p50' : 'p99', ...cells].join(' | ')} |`)
  }
  const more = (both[0]?.[1] ?? Number.NaN) - (both[0]?.[0] ?? Number.NaN)
  console.log(`\nMore at p50: ${more.toFixed(2)} ms (bound: ${maxMoreP50Ms})`)
  if (!(more <= maxMoreP50Ms)) process.exitCode = 1
}

/** The two reads of each count come from `info`. */
function printRedis(did: ReadonlyMap<string, number>, requests: number): void {
  const reads = ((did.get('reads') ?? 0) - 2 * turns) / requests
  console.log(
    `\nPieces that Redis reads for a request, which is at least its round trips: ${reads.toFixed(2)}`,
  )
  const commands = [...did].filter(([what, count]) => what !== 'reads' && count > 0)
  const shown = commands.map(([what, count]) => `${what} ${(count / requests).toFixed(2)}`)
  console.log(`Commands for a request, those inside of scripts too: ${shown.join(', ')}`)
}
