import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type HealthPeers, healthPeers, serveHealth } from '../../src/cluster/health.ts'
import { Channel, type Pipe } from '../../src/lib/channel.ts'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import { endWorker } from './process-pipes.ts'

/** Two ends of a pipe whose messages arrive in the same event loop iteration; `cut` drops all messages of the first end. */
function pipes(): { ours: Pipe; theirs: Pipe; cut(): void } {
  const listeners: ((message: unknown) => void)[][] = [[], []]
  let open = true
  const end = (mine: number): Pipe => ({
    send(message, sent) {
      sent()
      if (open) for (const listener of listeners[1 - mine] ?? []) listener(message)
      return open
    },
    onMessage: (listener) => listeners[mine]?.push(listener),
  })
  const cut = (): void => {
    open = false
  }
  return { ours: end(0), theirs: end(1), cut }
}

interface Worker {
  peers: HealthPeers
  isLeader: boolean
  learned: string[]
  end(): void
  hang(): void
}

function primary(): WorkerChannels {
  const workers = new WorkerChannels()
  serveHealth(workers)
  return workers
}

function addWorker(t: TestContext, workers: WorkerChannels, name: string): Worker {
  const { ours, theirs, cut } = pipes()
  workers.add(name, theirs)
  const worker: Worker = {
    peers: healthPeers(new Channel(ours)),
    isLeader: false,
    learned: [],
    end: () => endWorker(workers, name),
    hang: cut,
  }
  t.after(() => worker.peers.leave())
  worker.peers.join({
    lead: (isLeader) => {
      worker.isLeader = isLeader
    },
    learned: (server, state) => worker.learned.push(`${server} ${state}`),
    answered: (server) => worker.learned.push(`${server} answered`),
    receive: (message) => worker.learned.push(JSON.stringify(message)),
    wake: (engine) => worker.learned.push(`wake ${engine}`),
  })
  return worker
}

const leaders = (...workers: Worker[]): boolean[] => workers.map(({ isLeader }) => isLeader)

test('one worker runs the health checks, and another takes over when it exits or leaves', (t) => {
  const workers = primary()
  const [first, second, third] = ['1', '2', '3'].map((name) => addWorker(t, workers, name)) as [
    Worker,
    Worker,
    Worker, // as many as there are names
  ]
  assert.deepEqual(leaders(first, second, third), [true, false, false])
  first.end()
  assert.deepEqual(leaders(second, third), [true, false])
  second.peers.leave()
  assert.deepEqual(leaders(third), [true])
  third.end()
  assert.deepEqual(leaders(addWorker(t, workers, '4')), [true])
})

test('all workers learn the results, including one that starts later and one that has left', (t) => {
  const workers = primary()
  const [first, second] = [addWorker(t, workers, '1'), addWorker(t, workers, '2')]
  for (const server of ['a', 'b', 'c']) first.peers.report(server, 'refused')
  first.peers.report('a', 'up')
  first.peers.report('c', 'gone')
  first.peers.report('b', 'silent')
  const all = ['a refused', 'b refused', 'c refused', 'a up', 'c gone', 'b silent']
  assert.deepEqual([first.learned, second.learned], [all, all])
  assert.deepEqual(addWorker(t, workers, '3').learned, ['b silent'])
  second.peers.leave()
  first.peers.report('b', 'up')
  assert.equal(second.learned.at(-1), 'b up')
})

test('results reported by a worker that is not the leader are ignored', (t) => {
  const workers = primary()
  const [first, second] = [addWorker(t, workers, '1'), addWorker(t, workers, '2')]
  second.peers.report('a', 'refused')
  assert.deepEqual([...first.learned, ...second.learned, ...addWorker(t, workers, '3').learned], [])
})

test('a leader that is silent for a while is replaced', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  const workers = primary()
  const [first, second] = [addWorker(t, workers, '1'), addWorker(t, workers, '2')]
  t.mock.timers.tick(20_000)
  assert.deepEqual(leaders(first, second), [true, false])
  first.hang()
  t.mock.timers.tick(5_000)
  assert.deepEqual(leaders(second), [true])
  t.mock.timers.tick(20_000)
  assert.deepEqual(leaders(second), [true])
})

test('only the leader is notified that a server whose checks fail has answered another worker', (t) => {
  const workers = primary()
  const [first, second, third] = ['1', '2', '3'].map((name) => addWorker(t, workers, name)) as [
    Worker,
    Worker,
    Worker, // as many as there are names
  ]
  second.peers.answered('a')
  assert.deepEqual([first.learned, second.learned, third.learned], [['a answered'], [], []])
})
