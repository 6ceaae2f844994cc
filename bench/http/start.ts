import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Child, freePort, listening, startChild } from '../support/child.ts'
import { routerArgs } from '../support/router-command.ts'
import { median } from './measure.ts'

/**
 * `node bench/http/start.ts` prints the time from the router's start to its first chat response, alternating with the time of
 * an empty Node process (`node -e 0`): started as by `run-rest-api.sh` and the image, with Node's compile cache of an earlier
 * start and without. Exit code 1 if the first takes too long.
 */
const maxMoreMs = 400
const rounds = 11
const bareRounds = 5
const askAgainMs = 2
const giveUpMs = 20_000

const kept = mkdtempSync(join(tmpdir(), 'llm-router-bench-'))
try {
  // Node writes the compile cache when a process exits by itself.
  await (await startRouter(kept)).child.stop('SIGTERM')
  const warm = await compare(rounds, kept)
  const cold = await compare(bareRounds, undefined)
  console.log('| start to first answer, more than `node -e 0` | ms, median (each round) |\n|---|--:|')
  print('what Node made of the sources is kept', warm)
  print('it is not', cold)
  if (median(warm) > maxMoreMs) {
    console.log(`\nMissed: ${maxMoreMs} ms.`)
    process.exitCode = 1
  }
} finally {
  rmSync(kept, { recursive: true })
}

async function compare(times: number, cache: string | undefined): Promise<number[]> {
  const more: number[] = []
  for (let round = 0; round < times; round++) {
    const before = performance.now()
    spawnSync(process.execPath, ['-e', '0'])
    const nodeMs = performance.now() - before
    const { child, ms } = await startRouter(cache)
    await child.stop()
    more.push(ms - nodeMs)
  }
  return more
}

async function startRouter(cache: string | undefined): Promise<{ child: Child; ms: number }> {
  const port = await freePort()
  const env = {
    LLM_ROUTER_SERVER_HOST: '127.0.0.1',
    LLM_ROUTER_SERVER_PORT: `${port}`,
    LLM_ROUTER_LOG_FILENAME: '',
    LLM_ROUTER_DRAIN_ACCEPT: '0',
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
  }
  const before = performance.now()
  const { child } = await startChild(process.execPath, routerArgs(), () => answered(port), { env })
  return { child, ms: performance.now() - before }
}

/** Returns after a chat request has been answered. */
async function answered(port: number): Promise<true> {
  const until = performance.now() + giveUpMs
  while ((await listening(port)) === undefined) {
    if (performance.now() > until) throw new Error('the router does not listen')
    await delay(askAgainMs)
  }
  const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }] }),
  })
  if (!answer.ok) throw new Error(`the router answers ${answer.status}`)
  await answer.arrayBuffer()
  return true
}

function print(what: string, more: readonly number[]): void {
  console.log(`| ${what} | ${median(more).toFixed(0)} (${more.map((each) => each.toFixed(0)).join(' ')}) |`)
}
