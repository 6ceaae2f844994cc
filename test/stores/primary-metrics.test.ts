import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { clusterMetrics, type MetricFamily, serveMetrics } from '../../src/cluster/metrics.ts'
import { Channel } from '../../src/lib/channel.ts'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import { addWorker as connect, endWorker, processPipes } from './process-pipes.ts'

function counter(name: string, value: number, labels: Record<string, string> = {}): MetricFamily {
  return { name, help: name, type: 'counter', aggregator: 'sum', values: [{ value, labels }] }
}

function gauge(name: string, value: number): MetricFamily {
  return { name, help: name, type: 'gauge', aggregator: 'sum', values: [{ value, labels: {} }] }
}

function primary(): WorkerChannels {
  const workers = new WorkerChannels()
  serveMetrics(workers)
  return workers
}

function addWorker(workers: WorkerChannels, id: string, read: () => Promise<MetricFamily[]>) {
  return clusterMetrics(connect(workers, id), read)
}

const sumOf = (parts: MetricFamily[][], name: string): number =>
  parts
    .flat()
    .filter((family) => family.name === name)
    .flatMap(({ values }) => values)
    .reduce((sum, { value }) => sum + value, 0)

test('counters of dead workers are added up, and their gauges are dropped', async () => {
  const workers = primary()
  addWorker(workers, '1', async () => [counter('a', 1), counter('a_other', 5), gauge('g', 1)])
  addWorker(workers, '2', async () => [counter('a', 2, { l: 'x' }), gauge('g', 1)])
  const third = addWorker(workers, '3', async () => [counter('a', 4), gauge('g', 1)])
  const living = await third.collect()
  assert.equal(sumOf(living, 'a'), 7)
  assert.equal(sumOf(living, 'g'), 3)
  endWorker(workers, '1')
  endWorker(workers, '2')
  const left = await third.collect()
  assert.equal(sumOf(left, 'a'), 7)
  assert.equal(sumOf(left, 'a_other'), 5)
  assert.equal(sumOf(left, 'g'), 1)
  endWorker(workers, '3')
  const fourth = addWorker(workers, '4', async () => [counter('a', 8)])
  const parts = await fourth.collect()
  assert.equal(sumOf(parts, 'a'), 15)
  // Dead workers do not accumulate: their series are merged into one.
  assert.equal(parts.at(-1)?.find(({ name }) => name === 'a')?.values.length, 2)
})

test('the counters of a worker that exits are kept even if no one has asked for them', async () => {
  const workers = primary()
  const leavingWorker = addWorker(workers, '1', async () => [counter('a', 3), gauge('g', 1)])
  await leavingWorker.keep()
  endWorker(workers, '1')
  const other = addWorker(workers, '2', async () => [])
  const parts = await other.collect()
  assert.equal(sumOf(parts, 'a'), 3)
  assert.equal(sumOf(parts, 'g'), 0)
})

test('a busy worker is included with its last reported values', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const workers = primary()
  let answers = true
  addWorker(workers, '1', () => (answers ? Promise.resolve([counter('a', 3)]) : new Promise(() => undefined)))
  const asker = addWorker(workers, '2', async () => [counter('a', 4)])
  assert.equal(sumOf(await asker.collect(), 'a'), 7)
  answers = false
  const collecting = asker.collect()
  for (let turn = 0; turn < 10; turn++) await setImmediate()
  t.mock.timers.tick(1_000)
  assert.equal(sumOf(await collecting, 'a'), 7)
})

test('a worker that dies while it is asked does not delay the response', async () => {
  const workers = primary()
  addWorker(workers, '1', () => new Promise(() => undefined))
  const asker = addWorker(workers, '2', async () => [counter('a', 4)])
  const collecting = asker.collect()
  for (let turn = 0; turn < 10; turn++) await setImmediate()
  endWorker(workers, '1')
  assert.equal(sumOf(await collecting, 'a'), 4)
})

test('a primary that does not answer is reported as an error', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [here] = processPipes()
  const asker = clusterMetrics(new Channel(here), async () => [])
  const collecting = assert.rejects(asker.collect(), /does not answer/)
  t.mock.timers.tick(3_000)
  await collecting
})
