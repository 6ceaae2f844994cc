import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FairQueue, type Ticket } from '../../src/stores/queue/fair-queue.ts'

/** Resolves when everything has happened that can happen without time passing or another call. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A server whose requests take one tick of a virtual clock each, and the queue before it. */
function setUp(t: { after(fn: () => void): void }, { places = 1 } = {}) {
  const queue = new FairQueue({ pollMs: { min: 1e6, max: 1e6 }, random: () => 0 })
  let running = 0
  /** Clients in the order of service, one row per tick. */
  const served: string[][] = [[]]
  const ticket = (client: string, weight: number): Ticket => ({
    client,
    weight,
    async offer() {
      if (running === places) return 'taken'
      running++
      served.at(-1)?.push(client)
      return 'served'
    },
  })
  const arrive = async (client: string, count: number, weight = 1): Promise<void> => {
    for (let index = 0; index < count; index++) queue.enter(ticket(client, weight), true)
    await settled()
  }
  const tick = async (times = 1): Promise<void> => {
    for (let time = 0; time < times; time++) {
      running = 0
      served.push([])
      queue.wake()
      await settled()
    }
  }
  t.after(() => {
    for (const each of [...queue.inOrder()]) queue.leave(each)
  })
  return {
    queue,
    served,
    arrive,
    tick,
    count: (client: string) => served.flat().filter((each) => each === client).length,
  }
}

test('a client with 1,000 requests delays the single request of another by at most one service time', async (t) => {
  for (const places of [1, 4])
    for (const passed of [0, 1, 17, 200]) {
      const { served, arrive, tick } = setUp(t, { places })
      await arrive('flood', 1_000)
      await tick(passed)
      await arrive('single', 1)
      await tick()
      assert.ok(served.at(-1)?.includes('single'), `${places} slots, after ${passed}`)
    }
})

test('several clients with many requests delay a single request by one service time each', async (t) => {
  const { served, arrive, tick } = setUp(t)
  for (const client of ['a', 'b', 'c', 'd']) await arrive(client, 100)
  await tick(50)
  await arrive('single', 1)
  await tick(5)
  assert.ok(served.slice(-5).flat().includes('single'))
})

test('clients share the server in proportion to their weights, evenly spread', async (t) => {
  const { served, arrive, tick, count } = setUp(t)
  await arrive('two', 500, 2)
  await arrive('one', 500, 1)
  await arrive('half', 500, 0.5)
  await tick(349)
  assert.ok(Math.abs(count('two') - 200) <= 2, `${count('two')}`)
  assert.ok(Math.abs(count('one') - 100) <= 2, `${count('one')}`)
  assert.ok(Math.abs(count('half') - 50) <= 2, `${count('half')}`)
  for (let at = 50; at < 340; at += 7)
    assert.ok(
      served
        .slice(at, at + 7)
        .flat()
        .includes('half'),
      `${at}`,
    )
})

test('requests of high priority go first, and those of low priority are still served', async (t) => {
  const { served, arrive, tick, count } = setUp(t)
  await arrive('before', 1)
  await arrive('low', 200, 1 / 4)
  await arrive('normal', 200, 1)
  await arrive('high', 200, 4)
  await tick()
  assert.deepEqual(served.at(-1), ['high'])
  await tick(104)
  assert.deepEqual(
    [count('high'), count('normal'), count('low')].map((each) => Math.round(each / 5)),
    [16, 4, 1],
  )
})

test('new clients that keep arriving do not starve an earlier one', async (t) => {
  const { arrive, tick, count } = setUp(t)
  await arrive('old', 20)
  for (let index = 0; index < 60; index++) {
    await arrive(`new ${index}`, 1)
    await tick()
  }
  assert.ok(count('old') >= 5, `${count('old')}`)
})

test('the requests of one client are served in order of arrival, and a cancelled one is skipped', async () => {
  const queue = new FairQueue({ pollMs: { min: 1e6, max: 1e6 }, random: () => 0 })
  const names = new Map<Ticket, number>()
  for (let index = 0; index < 5; index++) {
    const ticket: Ticket = { client: 'a', weight: 1, offer: async () => 'taken' }
    names.set(ticket, index)
    queue.enter(ticket, false)
  }
  const [, second = assert.fail('no ticket')] = [...queue.inOrder()]
  queue.leave(second)
  queue.leave(second)
  assert.deepEqual(
    [...queue.inOrder()].map((ticket) => names.get(ticket)),
    [0, 2, 3, 4],
  )
  assert.equal(queue.length, 4)
  for (const ticket of names.keys()) queue.leave(ticket)
})
