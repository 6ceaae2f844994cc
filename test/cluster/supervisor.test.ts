import assert from 'node:assert/strict'
import type { Worker } from 'node:cluster'
import { EventEmitter } from 'node:events'
import { type TestContext, test } from 'node:test'
import { Supervisor, type WorkerEnd } from '../../src/cluster/supervisor.ts'

/** The part of a worker that the supervisor uses. */
class FakeWorker extends EventEmitter {
  readonly signals: string[] = []
  /** Called when it accepts requests. */
  ready: () => void = () => undefined
  readonly process = {
    kill: (signal: string): void => {
      this.signals.push(signal)
    },
  }

  crash(code = 7): void {
    this.emit('exit', code, null)
  }
}

function supervise(t: TestContext, count: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const workers: FakeWorker[] = []
  const ends: WorkerEnd[] = []
  const finished: { code: number; why: string | undefined }[] = []
  const supervisor: Supervisor = new Supervisor({
    count,
    fork() {
      const worker = new FakeWorker()
      const id = workers.push(worker)
      worker.ready = () => supervisor.ready(id)
      return Object.assign(Object.create(null), {
        id,
        once: worker.once.bind(worker),
        process: worker.process,
      }) as Worker // the supervisor uses nothing else
    },
    onEnd: (end) => ends.push(end),
    onFinish: (code, why) => finished.push({ code, why }),
  })
  supervisor.start()
  const last = (): FakeWorker => workers.at(-1) ?? assert.fail('no worker')
  return { supervisor, workers, ends, finished, last, tick: (ms: number) => t.mock.timers.tick(ms) }
}

test('a worker that keeps crashing restarts after 1, 2, 4 ... 30 s', (t) => {
  const { workers, ends, finished, last, tick } = supervise(t, 2)
  workers[0]?.ready()
  for (const seconds of [1, 2, 4, 8, 16, 30, 30, 30]) {
    last().crash()
    assert.equal(ends.at(-1)?.restartInMs, seconds * 1000)
    const before = workers.length
    tick(seconds * 1000 - 1)
    assert.equal(workers.length, before)
    tick(1)
    assert.equal(workers.length, before + 1)
  }
  assert.deepEqual(finished, [], 'the other worker serves')
})

test('the restart delay of a worker is reset after it has served for a minute, and is separate per worker', (t) => {
  const { workers, ends, last, tick } = supervise(t, 2)
  for (const worker of workers) worker.ready()
  workers[1]?.crash()
  tick(1_000)
  last().ready()
  tick(59_999)
  last().crash()
  assert.equal(ends.at(-1)?.restartInMs, 2_000)
  workers[0]?.crash()
  assert.equal(ends.at(-1)?.restartInMs, 1_000)
  tick(2_000)
  last().ready()
  tick(60_000)
  last().crash()
  assert.equal(ends.at(-1)?.restartInMs, 1_000)
})

test('the primary gives up when no worker has been ready for a minute, and not before', (t) => {
  const { workers, finished, last, tick } = supervise(t, 1)
  last().ready()
  last().crash()
  tick(1_000)
  tick(58_000)
  last().ready()
  last().crash()
  for (const seconds of [2, 4, 8, 16]) {
    tick(seconds * 1_000)
    last().crash()
  }
  assert.equal(finished.length, 0)
  tick(29_999)
  assert.equal(finished.length, 0)
  tick(1)
  assert.equal(finished.length, 1)
  assert.equal(finished[0]?.code, 1)
  assert.match(finished[0]?.why ?? '', /no worker has been ready for 60 s/)
  const count = workers.length
  tick(600_000)
  assert.equal(workers.length, count, 'no worker starts any more')
})

test('a start in which every worker crashes ends immediately with exit code 1', (t) => {
  const { workers, finished } = supervise(t, 2)
  workers[0]?.crash()
  assert.equal(finished.length, 0)
  workers[1]?.crash()
  assert.equal(finished[0]?.code, 1)
})

test('an invalid configuration ends a start with exit code 2, and later counts as a crash', (t) => {
  const first = supervise(t, 2)
  first.workers[0]?.crash(2)
  assert.deepEqual(first.finished, [{ code: 2, why: undefined }])
  assert.deepEqual(first.workers[1]?.signals, ['SIGTERM'])
  t.mock.timers.reset()
  const later = supervise(t, 2)
  for (const worker of later.workers) worker.ready()
  later.workers[0]?.crash(2)
  assert.deepEqual([later.finished, later.ends[0]?.restartInMs], [[], 1_000])
})

test('a signal for all workers reaches a starting one once it is ready', (t) => {
  const { supervisor, workers } = supervise(t, 2)
  workers[0]?.ready()
  supervisor.passOn('SIGUSR2')
  assert.deepEqual([workers[0]?.signals, workers[1]?.signals], [['SIGUSR2'], []])
  workers[1]?.ready()
  assert.deepEqual(workers[1]?.signals, ['SIGUSR2'])
})

test('a stop between a crash and the restart ends immediately', (t) => {
  const { supervisor, workers, finished, tick } = supervise(t, 1)
  workers[0]?.ready()
  workers[0]?.crash()
  supervisor.stop('SIGTERM')
  assert.deepEqual(finished, [{ code: 0, why: undefined }])
  tick(60_000)
  assert.equal(workers.length, 1)
})
