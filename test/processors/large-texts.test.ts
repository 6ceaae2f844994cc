import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import type { TestRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'
import { openaiText } from '../helpers/upstream-answers.ts'

const shared = new SharedRouter()
let upstream: ScriptedUpstream

before(async () => {
  upstream = await startUpstream(openaiText('ok'))
})
after(async () => {
  await shared.close()
  await upstream.close()
})

const list = <Item>(count: number, item: (index: number) => Item): Item[] =>
  Array.from({ length: count }, (_, index) => item(index))

const models = (processors: readonly object[]) => ({
  ...modelsConfig({ m: [{ id: 'm', api_type: 'openai', api_host: upstream.url }] }),
  processors,
})
const user = { role: 'user', content: 'Hi' }

/** Milliseconds of processor time for a chat; the minimum of some runs, because the first also compiles. */
async function cost({ app }: TestRouter, content: string): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < 3; run++) {
    const from = process.cpuUsage()
    const payload = { model: 'm', messages: [{ role: 'user', content }] }
    const { statusCode, body } = await app.inject({ method: 'POST', url: '/v1/chat/completions', payload })
    const { user: inUser, system } = process.cpuUsage(from)
    assert.equal(statusCode, 200, body)
    least = Math.min(least, (inUser + system) / 1000)
  }
  return least
}

const words = (count: number): string[] => list(count, (index) => `w${index.toString(36)} falcon`)

for (const type of ['masking', 'guardrail'])
  test(`the time for a text hardly depends on the number of configured words: ${type}`, async () => {
    const entry = (count: number) =>
      type === 'masking' ? { type, words: { PROJECT: words(count) } } : { type, words: words(count) }
    const text = 'some ordinary words of a long text, '.repeat(6_000)
    const few = await cost(await shared.with(models([{ ...entry(10), timeout: 60 }])), text)
    const many = await cost(await shared.with(models([{ ...entry(10_000), timeout: 60 }])), text)
    // Comparing each position with each entry takes more than 100 times as long.
    assert.ok(many < 20 * Math.max(few, 5), `${few} ms, ${many} ms`)
  })

test('digits that are no phone number cost little, however many countries are configured', async () => {
  const digits = '5261040828 '.repeat(40_000)
  const of = (...countries: string[]) =>
    shared.with(models([{ type: 'masking', phone_countries: countries, timeout: 60 }]))
  const one = await cost(await of('PL'), digits)
  const three = await cost(await of('PL', 'US', 'GB'), digits)
  assert.ok(three < 3 * one, `${one} ms, ${three} ms`)
})

test('the endpoint that masks a text takes time proportional to it', async () => {
  const { app } = await shared.with(models([]))
  const masking = async (count: number): Promise<number> => {
    const from = process.cpuUsage()
    const payload = { text: list(count, (index) => `a${index}@b.co`).join(' ') }
    const { statusCode, body } = await app.inject({ method: 'POST', url: '/api/fast_text_mask', payload })
    assert.equal(statusCode, 200, body)
    const { user: inUser, system } = process.cpuUsage(from)
    return (inUser + system) / 1000
  }
  await masking(2_000)
  const small = Math.min(await masking(2_000), await masking(2_000))
  const large = await masking(32_000)
  // 16 times the size; comparing each value with all others takes 256 times as long.
  assert.ok(large < 64 * Math.max(small, 5), `${small} ms, ${large} ms`)
})

test('masking of nested JSON does not exhaust the memory of the router', async () => {
  const router = await startRouterProcess({
    models: models([{ type: 'masking', timeout: 60 }]),
    args: ['--expose-gc', '--max-old-space-size=400', 'src/server.ts'],
  })
  try {
    const nested = `${'['.repeat(100)}"jan@example.com"${']'.repeat(100)}`
    const called = { name: 'f', arguments: `[${list(15_000, () => nested).join(',')}]` }
    const turn = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: called }],
    }
    const response = await fetch(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'm',
        messages: [user, turn, { role: 'tool', tool_call_id: 'c', content: 'x' }],
      }),
    })
    assert.equal(response.status, 200, await response.text())
  } finally {
    await router.stop()
  }
})
