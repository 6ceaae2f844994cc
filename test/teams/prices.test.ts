import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pricesOf } from '../../src/plugins/usage/prices.ts'
import { eventually } from '../helpers/eventually.ts'
import { shareTeam, sqliteUrl } from './team-router.ts'

const { admin, chat, newKey } = shareTeam(sqliteUrl)

test('cost is computed from the price of the target, the model or a pattern when usage is recorded', async () => {
  const made = await admin('POST', '/prices', { id: 'all', model: '*', currency: 'EUR', request: 1 })
  assert.equal(made.status, 201)
  await admin('POST', '/prices', { id: 'large', model: 'large', prompt: 2, completion: 1_000_000 })
  const key = await newKey('alice')
  await chat(key)
  const { body } = await chat(key, 'large')
  const cost = async (model: string) => {
    const answer = await admin('GET', `/usage?model=${model}`)
    return answer.body.data[0]?.cost
  }
  await eventually(async () => (await cost('large')) !== undefined && (await cost('small')) !== undefined)
  assert.equal(await cost('small'), 1)
  const { prompt_tokens: prompt, completion_tokens: completion } = body.usage
  assert.ok(Math.abs((await cost('large')) - (completion + (prompt * 2) / 1_000_000)) < 1e-6)
  // Recorded usage keeps its price.
  await admin('PATCH', '/prices/all', { request: 5 })
  await chat(key)
  await eventually(async () => (await cost('small')) === 6)
})

test('a price needs a model or a target, and unknown members are rejected', async () => {
  for (const price of [{ request: 1 }, { model: 'small', request: -1 }, { model: 'small', per_token: 1 }])
    assert.equal((await admin('POST', '/prices', { id: 'one', ...price })).status, 400, JSON.stringify(price))
})

test("a target's price overrides a model's price, which overrides a pattern's", () => {
  const usage = {
    model: 'small',
    target: 'gpu1',
    requests: 1,
    busy_ms: 500,
    prompt_tokens: 2_000_000,
    cached_tokens: 1_000_000,
    completion_tokens: 1_000_000,
  }
  const all = [
    { id: 'a', record: { model: 's*', request: 1 } },
    { id: 'b', record: { model: 'small', prompt: 4, cached_prompt: 1, completion: 8, gpu_second: 2 } },
    { id: 'c', record: { target: 'gpu1', prompt: 3 } },
  ]
  assert.equal(pricesOf({ prices: all }).costOf(usage), 6)
  assert.equal(pricesOf({ prices: all.slice(0, 2) }).costOf(usage), 4 + 1 + 8 + 1)
  assert.equal(pricesOf({ prices: all.slice(0, 1) }).costOf(usage), 1)
  assert.equal(pricesOf({ prices: all }).costOf({ ...usage, model: 'other', target: 'gpu2' }), 0)
})
