import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../../bench/support/seeded-random.ts'
import { BusyClock } from '../../../src/relay/attempt/busy-clock.ts'
import { post } from '../../helpers/http.ts'
import { keysFile } from '../../helpers/keys-file.ts'
import { messages } from '../../helpers/messages.ts'
import { startRouter } from '../../helpers/router.ts'
import { openaiStream, startUpstream } from '../../helpers/scripted-upstream.ts'

const server = (number: number, gpus: number) => ({
  id: `t-${number}`,
  origin: `http://10.0.0.${number}`,
  gpus,
})

test('a busy second of a server is divided equally among its attempts, times its accelerators', () => {
  let now = 0
  const clock = new BusyClock(() => now)
  const [a, b, all] = [{ value: 0 }, { value: 0 }, { value: 0 }]
  const endA = clock.begin(server(1, 4), a, all)
  now += 1_000
  const endB = clock.begin(server(1, 4), b, all)
  const endB2 = clock.begin({ ...server(1, 4), id: 'of another model' }, b, all)
  now += 3_000
  endA()
  now += 500
  clock.divide()
  assert.deepEqual([a.value, b.value, all.value], [4 + 4, 8 + 2, 18])
  endB()
  endB2()
  now += 60_000
  clock.divide()
  assert.deepEqual([a.value, b.value, all.value], [8, 10, 18])
})

test('busy seconds never exceed the time of all servers, in one process or two', () => {
  const random = seededRandom(11)
  const servers = [server(1, 1), server(2, 2), server(3, 8)]
  let now = 0
  const running = [new Map<string, number>(), new Map<string, number>()]
  const clocks = running.map(
    (_own, index) =>
      new BusyClock(
        () => now,
        ({ id }) => running[1 - index]?.get(id) ?? 0,
      ),
  )
  const series = Array.from({ length: 5 }, () => ({ value: 0 }))
  const open: (() => void)[] = []
  for (let step = 0; step < 5_000; step++) {
    now += random() * 100
    // Each process has just received what the others run.
    for (const clock of clocks) clock.divide()
    const target = servers[Math.floor(random() * servers.length)]
    const one = series[Math.floor(random() * series.length)]
    const at = Math.floor(random() * clocks.length)
    const [clock, own] = [clocks[at], running[at]]
    if (target && one && clock && own && random() < 0.5) {
      const end = clock.begin(target, one)
      own.set(target.id, (own.get(target.id) ?? 0) + 1)
      open.push(() => {
        end()
        own.set(target.id, (own.get(target.id) ?? 0) - 1)
      })
    } else open.splice(Math.floor(random() * open.length), 1)[0]?.()
  }
  for (const clock of clocks) clock.divide()
  const sum = series.reduce((total, { value }) => total + value, 0)
  const fleet = (now / 1000) * servers.reduce((total, { gpus }) => total + gpus, 0)
  assert.ok(sum > 0.5 * fleet && sum <= fleet * (1 + 1e-9), `${sum} of ${fleet}`)
})

test('tokens, busy seconds and durations are reported by client, model and target', async (t) => {
  const upstream = await startUpstream(openaiStream(['Hi', ' there'], { usage: true }))
  const file = keysFile([
    { id: 'team', key: 'key-of-the-team-12345', surfaces: ['openai', 'operator'] },
    { id: 'other-team', key: 'key-of-others-12345' },
  ])
  const provider = { api_type: 'vllm', api_host: upstream.url, gpus: 2 }
  const router = await startRouter({
    env: { ...file.env, LLM_ROUTER_USE_PROMETHEUS: '1' },
    models: {
      g: {
        one: { providers: [{ id: 'gpu-a', ...provider }] },
        two: { providers: [{ id: 'gpu-a2', ...provider, canary: true, weight: 0.1 }] },
      },
      active_models: { g: ['one', 'two'] },
    },
  })
  t.after(async () => {
    await router.close()
    await upstream.close()
    file.remove()
  })
  const authorization = 'Bearer key-of-the-team-12345'
  const startedAt = performance.now()
  await Promise.all(
    ['one', 'two', 'one', 'two'].map(async (model, index) => {
      const body = { model, stream: true, messages }
      const key = index < 3 ? authorization : 'Bearer key-of-others-12345'
      const headers = { 'content-type': 'application/json', authorization: key }
      assert.equal((await post(`${router.url}/v1/chat/completions`, body, headers)).status, 200)
    }),
  )
  const text = await (await fetch(`${router.url}/metrics`, { headers: { authorization } })).text()
  const elapsed = (performance.now() - startedAt) / 1000
  const values = [...text.matchAll(/^llm_router_usage_busy_seconds_total\{(.*)\} (.*)$/gm)]
  const busy = values.reduce((sum, [, , value]) => sum + Number(value), 0)
  assert.equal(values.length, 3)
  assert.ok(busy > 0 && busy <= 2 * elapsed, `${busy} of ${2 * elapsed}`)
  for (const line of [
    /^llm_router_usage_tokens_total\{client="team",model_name="one",target="gpu-a",direction="input"\} [1-9]/m,
    /^llm_router_usage_tokens_total\{client="other-team",model_name="two",target="gpu-a2",direction="output"\} [1-9]/m,
    /^llm_router_time_to_first_token_seconds_count\{.*model_name="one",target="gpu-a"\} 2/m,
    /^llm_router_provider_latency_seconds_count\{.*model_name="two",target="gpu-a2"\} 2/m,
    /^llm_router_time_per_output_token_seconds_count\{.*model_name="one",target="gpu-a"\} 2/m,
    /^llm_router_target_canary\{model_name="two",target="gpu-a2"\} 1/m,
  ])
    assert.match(text, line)
})
