import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Channel, type Pipe, topic } from '../../src/lib/channel.ts'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import { addWorker, processPipes } from '../stores/process-pipes.ts'

const add = topic<number, number>('add')
const note = topic<string>('note')
const lastWord = topic<string>('last-word', { afterExit: true })
const hint = topic<number>('hint', { isHint: true })
const slow = topic<void, string>('slow', { timeoutMs: 1_000 })

function pair(): [Channel, Channel] {
  const [one, other] = processPipes()
  return [new Channel(one), new Channel(other)]
}

test('messages are handled in order, and each request gets its own response', async () => {
  const [here, there] = pair()
  const handled: (string | number)[] = []
  const held = Promise.withResolvers<void>()
  there.on(note, (text) => void handled.push(text))
  there.on(add, async (number) => {
    handled.push(number)
    if (number === 1) await held.promise
    return number + 1
  })
  const first = here.request(add, 1)
  here.cast(note, 'between')
  assert.equal(await here.request(add, 2), 3)
  held.resolve()
  assert.equal(await first, 2)
  assert.deepEqual(handled, [1, 'between', 2])
})

test('an error of the handler rejects the request, and so does a missing handler', async () => {
  const [here, there] = pair()
  await assert.rejects(here.request(add, 1), { name: 'ChannelError', reason: 'failed' })
  there.on(add, () => {
    throw new Error('no numbers today')
  })
  await assert.rejects(here.request(add, 1), { reason: 'failed', message: 'no numbers today' })
  there.on(add, () => Promise.reject(new Error('nor later')))
  await assert.rejects(here.request(add, 1), { reason: 'failed', message: 'nor later' })
})

test('foreign messages on the same pipe are ignored', async () => {
  const [one, other] = processPipes()
  const [here, there] = [new Channel(one), new Channel(other)]
  there.on(add, (number) => number + 1)
  for (const message of [{ cmd: 'x' }, { topic: 'not ours' }, { topic: 7, id: 'x' }, { answerTo: 99 }])
    one.send(message, () => undefined)
  assert.equal(await here.request(add, 1), 2)
})

test('a request to a process that does not respond is rejected after the timeout of its topic', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [here, there] = pair()
  there.on(slow, () => new Promise<string>(() => undefined))
  const asked = assert.rejects(here.request(slow), { reason: 'timeout' })
  t.mock.timers.tick(1_000)
  await asked
})

test('messages of a worker are ignored after its exit, except for topics with afterExit', async () => {
  const workers = new WorkerChannels()
  const handled: string[] = []
  workers.on(note, (text, { id }) => void handled.push(`${id} ${text}`))
  workers.on(lastWord, (text, { id }) => void handled.push(`${id} ${text}`))
  const [dead, living] = [addWorker(workers, 'dead'), addWorker(workers, 'living')]
  for (const worker of [dead, living]) {
    worker.cast(note, 'note')
    worker.cast(lastWord, 'last word')
  }
  workers.exited('dead')
  await setImmediate()
  assert.deepEqual(handled, ['dead last word', 'living note', 'living last word'])
})

test('a request to a worker that exits is rejected, unless the response was already on its way', async () => {
  const workers = new WorkerChannels()
  const started: Channel[] = []
  workers.onStart((worker) => started.push(worker))
  const [silent, quick] = [addWorker(workers, 'silent'), addWorker(workers, 'quick')]
  silent.on(add, () => new Promise<number>(() => undefined))
  quick.on(add, (number) => number + 1)
  const [one, two] = started.map((worker) => worker.request(add, 1))
  const refused = assert.rejects(one ?? assert.fail(), { reason: 'closed' })
  await setImmediate()
  for (const id of ['silent', 'quick']) workers.exited(id)
  await setImmediate()
  assert.equal(await two, 2)
  for (const id of ['silent', 'quick']) workers.drained(id)
  await refused
  await assert.rejects(started[0]?.request(add, 1) ?? assert.fail(), { reason: 'closed' })
})

test('a process that does not read gets no hints and no requests, only other messages, until it reads again', async () => {
  const sent: object[] = []
  const unread: (() => void)[] = []
  const pipe: Pipe = {
    send: (message, read) => {
      sent.push(message)
      unread.push(read)
      return true
    },
    onMessage: () => undefined,
  }
  const channel = new Channel(pipe)
  for (let count = 0; count < 100_000; count++) channel.cast(hint, count)
  const backlog = sent.length
  assert.ok(backlog < 100_000, 'every hint was sent')
  await assert.rejects(channel.request(add, 1), { reason: 'congested' })
  channel.cast(note, 'a fact')
  assert.deepEqual(sent.slice(backlog), [{ topic: 'note', payload: 'a fact' }])
  for (const read of unread.splice(0)) read()
  channel.cast(hint, 1)
  void channel.request(add, 1)
  assert.equal(sent.length, backlog + 3)
})
