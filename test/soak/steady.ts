import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { faults, faultText, wholeJson } from '../faults/upstream-faults.ts'
import {
  answerBytes,
  type FaultUpstream,
  type RawRequest,
  type Step,
  startFaultUpstream,
} from '../helpers/fault-upstream.ts'
import { openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { openaiChunk, openaiDone } from '../helpers/scripted-upstream.ts'

/*
 * Clients of both dialects, one in ten of which disconnects early, over three upstreams, one in ten of whose
 * answers is broken in one of the ways of test/faults/. The router may not grow after its first minutes, and
 * every client that stays receives a whole answer or an error.
 */

const clients = 16
const faultShare = 0.1
const leavingShare = 0.1
/** Growth below this is ignored. */
const slackMebi = 48
const mebi = 1024 * 1024

const goodStream = answerBytes(openaiChunk({ content: faultText }) + openaiChunk({}, 'stop') + openaiDone, [
  'content-type: text/event-stream',
])
const goodWhole = answerBytes(wholeJson)

type Random = () => number

function answer({ body }: RawRequest, random: Random): Iterable<Step> {
  const stream = JSON.parse(body.toString()).stream === true
  if (random() >= faultShare) return [stream ? goodStream : goodWhole]
  const fitting = faults.filter((fault) => fault.stream === stream)
  return fitting[Math.floor(random() * fitting.length)]?.steps(pause(random() * 50)) ?? []
}

/** Returns what the client received. */
async function ask(url: string, stream: boolean, ollama: boolean): Promise<'answer' | 'error'> {
  const { status, text } = await post(`${url}${ollama ? '/api/chat' : '/v1/chat/completions'}`, {
    model: 'm',
    stream,
    messages,
  })
  const whole = stream
    ? ollama
      ? text.includes('"done":true')
      : text.endsWith(openaiDone)
    : text.includes(faultText)
  const failed = text.includes('"error":')
  assert.ok(status === 200 ? whole !== failed : failed, `neither an answer nor an error: ${status} ${text}`)
  return whole ? 'answer' : 'error'
}

async function leave(url: string, random: Random): Promise<'left'> {
  const socket = await openRequest(url, '/v1/chat/completions', { model: 'm', stream: true, messages })
  socket.on('error', () => undefined) // our own reset, seen from our side
  const closed = once(socket, 'close')
  socket.resume()
  await pause(random() * 20)
  if (random() < 0.5) socket.destroy()
  else socket.resetAndDestroy()
  await closed
  return 'left'
}

async function runClient(
  url: string,
  until: number,
  counts: Record<string, number>,
  random: Random,
): Promise<void> {
  while (performance.now() < until) {
    const seen =
      random() < leavingShare ? await leave(url, random) : await ask(url, random() < 0.5, random() < 0.5)
    counts[seen] = (counts[seen] ?? 0) + 1
    await pause(random() * 200)
  }
}

/** One median per sixtieth of the time and more: what is held between two collections does not count. */
async function watchMemory(router: RouterProcess, until: number): Promise<number[]> {
  const medians: number[] = []
  while (performance.now() < until) {
    const samples: number[] = []
    for (let second = 0; second < 60 && performance.now() < until; second++) {
      await pause(1_000)
      samples.push(router.memoryBytes() / mebi)
    }
    medians.push(medianOf(samples))
    console.log(`minute ${medians.length}: ${medians.at(-1)?.toFixed(1)} MiB`)
  }
  return medians
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0
}

/** Throws if the router grew, logged an error, or left a client without an answer or an error. */
export async function runSteady({ minutes, seed }: { minutes: number; seed: number }): Promise<void> {
  const random = seededRandom(seed)
  const upstreams: FaultUpstream[] = []
  for (let index = 0; index < 3; index++)
    upstreams.push(await startFaultUpstream((request) => answer(request, random)))
  const router = await startRouterProcess({
    env: { LLM_ROUTER_EXTERNAL_TIMEOUT: '1' },
    models: modelsConfig({
      m: upstreams.map(({ url }, index) => ({ id: `box${index}`, api_type: 'vllm', api_host: url })),
    }),
  })
  try {
    const until = performance.now() + minutes * 60_000
    const counts: Record<string, number> = {}
    const [medians] = await Promise.all([
      watchMemory(router, until),
      ...Array.from({ length: clients }, () => runClient(router.url, until, counts, random)),
    ])
    console.log(counts)
    for (const upstream of upstreams) await upstream.idle()
    const asked = Object.values(counts).reduce((sum, count) => sum + count, 0)
    const stayed = asked - (counts.left ?? 0)
    // A client may have disconnected before its request was complete, and those that do all have the same id.
    const lines = await router.requestsLogged(stayed)
    const ids = new Set(
      lines.filter(({ outcome }) => outcome !== 'client_gone').map((line) => line.request_id),
    )
    assert.ok(lines.length <= asked && ids.size >= stayed, `${lines.length} lines for ${asked} requests`)
    assert.deepEqual(
      router.logs.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    )
    assertSteady(medians, seed)
  } finally {
    await router.stop()
    for (const upstream of upstreams) await upstream.close()
  }
}

/**
 * Compares the lowest values of both halves: garbage may remain for a quarter of an hour before all of it is
 * collected, so memory goes up and down without growing. A run too short for halves proves nothing.
 */
function assertSteady(medians: readonly number[], seed: number): void {
  const settled = medians.slice(5)
  if (settled.length < 2) return
  const middle = Math.floor(settled.length / 2)
  const [before, after] = [settled.slice(0, middle), settled.slice(middle)].map((part) => Math.min(...part))
  assert.ok(before !== undefined && after !== undefined)
  const summary = `lowest ${before.toFixed(1)} MiB in the first half after five minutes, ${after.toFixed(1)} in the second`
  assert.ok(after <= before + slackMebi, `grew: ${summary} (seed ${seed})`)
  console.log(`steady: ${summary}; highest ${Math.max(...settled).toFixed(1)}`)
}
