import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainRequest } from '../../bench/strategies/simulated-server.ts'
import type { RoutingRequest } from '../../src/sdk/strategy.ts'
import { cacheAware } from '../../src/strategies/cache-aware.ts'
import { type Signals, signalsOf } from './signals.ts'

function created(known: Partial<Omit<Signals, 'target'>> = {}) {
  const instance = cacheAware.create({ now: () => 0, random: () => 0 })
  const candidates = [signalsOf('a', 1, known), signalsOf('b', 1, known), signalsOf('c', 1, known)]
  /** Sends a request to its end; returns the id of the target. */
  const ask = (request: RoutingRequest, cachedTokens?: number): string => {
    const { target } = instance.pick(candidates, request)
    instance.taken?.(target, request)
    const usage = {
      promptTokens: request.promptTokens,
      completionTokens: 10,
      ...(cachedTokens === undefined ? {} : { cachedTokens }),
    }
    instance.settled?.(target, { result: 'success', durationMs: 1, firstContentMs: 1, usage }, request)
    return target.id
  }
  const at = (id: string): Signals => candidates.find(({ target }) => target.id === id) ?? signalsOf(id)
  return { ask, at, candidates, instance }
}

/** A prompt of 4,000 tokens per part; equal numbers are equal text. */
function prompt(...parts: number[]): RoutingRequest {
  const keys = parts.map((_, index) => ({
    key: parts.slice(0, index + 1).reduce((chain, part) => chain * 1_009 + part, 7),
    tokens: (index + 1) * 4_000,
  }))
  return plainRequest({ prefixKeys: keys, promptTokens: parts.length * 4_000 })
}

/** Keeps a target busy with this many tokens. */
function load(
  instance: ReturnType<typeof created>['instance'],
  signals: Signals,
  part: number,
  parts: number,
): void {
  instance.taken?.(signals.target, prompt(...Array.from({ length: parts }, () => part)))
}

test('cache_aware: a restarted engine has nothing in its cache', () => {
  for (const restart of [
    (signals: Signals) => (signals.returnedAt = 5),
    (signals: Signals) => (signals.engine = { startedAt: 2 }),
  ]) {
    const { ask, at, instance } = created({ engine: { startedAt: 1 } })
    const home = ask(prompt(1, 2))
    load(instance, at(home), 90, 3)
    assert.equal(ask(prompt(1, 2, 3)), home)
    restart(at(home))
    assert.notEqual(ask(prompt(1, 2, 3, 4)), home)
  }
})

test('cache_aware: a prefix that no longer fits into the KV cache is not expected there', () => {
  const { ask, at, instance } = created({ engine: { kvTokens: 20_000 } })
  const home = ask(prompt(1, 2))
  load(instance, at(home), 80, 5)
  assert.notEqual(ask(prompt(1, 2, 3)), home)
})

test('cache_aware: what an engine reports as cached corrects the expectation', () => {
  for (const [reported, isExpected] of [
    [8_000, true],
    [0, false],
  ] as const) {
    const { at, candidates, instance } = created()
    const { target } = at('a')
    const serve = (request: RoutingRequest, cachedTokens: number): void => {
      const usage = { promptTokens: request.promptTokens, completionTokens: 1, cachedTokens }
      instance.taken?.(target, request)
      instance.settled?.(target, { result: 'success', durationMs: 1, firstContentMs: 1, usage }, request)
    }
    serve(prompt(8, 8), 0)
    serve(prompt(5, 6), 0)
    serve(prompt(1, 2), 0)
    serve(prompt(1, 2, 3), 8_000)
    // An engine that has evicted this has evicted what is older.
    serve(prompt(5, 6, 7), reported)
    assert.equal(instance.pick(candidates, prompt(8, 8, 9)).target.id === 'a', isExpected)
  }
})

test("cache_aware: an engine's other users count as load", () => {
  const { ask, at } = created()
  const home = ask(prompt(1))
  at(home).engine = { others: 40 }
  assert.notEqual(ask(prompt(1)), home)
})

test('cache_aware: adding a target moves only the sessions that it wins', () => {
  const { candidates, instance } = created()
  const of = (session: number, among: Signals[]): string =>
    instance.pick(among, plainRequest({ session: `s${session}`, promptTokens: 1_000 })).target.id
  const sessions = Array.from({ length: 300 }, (_, index) => index)
  const before = sessions.map((session) => of(session, candidates))
  const more = [...candidates, signalsOf('d')]
  const after = sessions.map((session) => of(session, more))
  const moved = sessions.filter((session) => before[session] !== after[session])
  assert.ok(moved.every((session) => after[session] === 'd'))
  assert.ok(moved.length > 40 && moved.length < 110, `${moved.length} of 300`)
})

test('cache_aware: a target of weight 0 is a spare', () => {
  const { instance } = created()
  const spare = signalsOf('spare', 0)
  const only = signalsOf('only', 1, { engine: { others: 1_000 } })
  assert.equal(instance.pick([spare, only], prompt(1)), only)
  assert.equal(instance.pick([spare], prompt(1)), spare)
})

test('cache_aware: prompts that are cached nowhere go to the target of their hash if other routers use it too', () => {
  /**
   * How much better the target of the hash is than any other, in tokens, after engines have reported this much
   * of each prompt.
   */
  const advantage = (reported: number): number => {
    let now = 0
    const instance = cacheAware.create({ now: () => now, random: () => 0 })
    const candidates = ['a', 'b', 'c'].map((id) => signalsOf(id))
    for (let part = 100; part < 200; part++) {
      const request = prompt(part)
      const { target } = instance.pick(candidates, request)
      instance.taken?.(target, request)
      const usage = { promptTokens: 4_000, completionTokens: 10, cachedTokens: reported }
      instance.settled?.(target, { result: 'success', durationMs: 1, firstContentMs: 1, usage }, request)
      // Long after all requests.
      now += 3_600_000
    }
    const [best = 0, next = 0] = (instance.scores?.(candidates, prompt(99)) ?? []).toSorted((x, y) => y - x)
    return best - next
  }
  const [alone, beside] = [advantage(0), advantage(3_000)]
  assert.ok(alone < 0.1 * 4_000, `${alone}`)
  assert.ok(beside > 0.5 * 4_000, `${beside}`)
})
