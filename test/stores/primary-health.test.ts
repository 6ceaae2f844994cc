import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { HealthDesk, type HealthMessage, primaryHealth } from '../../src/cluster/health.ts'
import type { HealthTeam } from '../../src/sdk/health-team.ts'
import type { ProcessPipe } from '../../src/stores/link.ts'

/** Two ends of a pipe whose messages arrive in the same turn; `cut` makes the first end deaf and dumb. */
function pipes(): { ours: ProcessPipe<HealthMessage>; theirs: ProcessPipe<HealthMessage>; cut(): void } {
  const listeners: ((message: unknown) => void)[][] = [[], []]
  let open = true
  const end = (mine: number): ProcessPipe<HealthMessage> => ({
    send(message) {
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
  team: HealthTeam
  onDuty: boolean
  learned: string[]
  end(): void
  hang(): void
}

function addWorker(t: TestContext, desk: HealthDesk, name: string): Worker {
  const { ours, theirs, cut } = pipes()
  desk.addWorker(name, theirs)
  const worker: Worker = {
    team: primaryHealth(ours),
    onDuty: false,
    learned: [],
    end: () => desk.removeWorker(name),
    hang: cut,
  }
  t.after(() => worker.team.leave())
  worker.team.join({
    duty: (on) => {
      worker.onDuty = on
    },
    learned: (server, state) => worker.learned.push(`${server} ${state}`),
    answered: (server) => worker.learned.push(`${server} answered`),
  })
  return worker
}

const duties = (...workers: Worker[]): boolean[] => workers.map(({ onDuty }) => onDuty)

test('one worker checks, and when it ends or leaves another does', (t) => {
  const desk = new HealthDesk()
  const [first, second, third] = ['1', '2', '3'].map((name) => addWorker(t, desk, name)) as [
    Worker,
    Worker,
    Worker, // as many as there are names
  ]
  assert.deepEqual(duties(first, second, third), [true, false, false])
  first.end()
  assert.deepEqual(duties(second, third), [true, false])
  second.team.leave()
  assert.deepEqual(duties(third), [true])
  third.end()
  assert.deepEqual(duties(addWorker(t, desk, '4')), [true])
})

test('all learn what is found, also one that starts later, and one that has left', (t) => {
  const desk = new HealthDesk()
  const [first, second] = [addWorker(t, desk, '1'), addWorker(t, desk, '2')]
  for (const server of ['a', 'b', 'c']) first.team.tell(server, 'refused')
  first.team.tell('a', 'up')
  first.team.tell('c', 'gone')
  first.team.tell('b', 'silent')
  const all = ['a refused', 'b refused', 'c refused', 'a up', 'c gone', 'b silent']
  assert.deepEqual([first.learned, second.learned], [all, all])
  assert.deepEqual(addWorker(t, desk, '3').learned, ['b silent'])
  second.team.leave()
  first.team.tell('b', 'up')
  assert.equal(second.learned.at(-1), 'b up')
})

test('what a worker finds that is not on duty counts nothing', (t) => {
  const desk = new HealthDesk()
  const [first, second] = [addWorker(t, desk, '1'), addWorker(t, desk, '2')]
  second.team.tell('a', 'refused')
  assert.deepEqual([...first.learned, ...second.learned, ...addWorker(t, desk, '3').learned], [])
})

test('one that says nothing for a while loses the duty to another', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  const desk = new HealthDesk(5_000)
  const [first, second] = [addWorker(t, desk, '1'), addWorker(t, desk, '2')]
  t.mock.timers.tick(20_000)
  assert.deepEqual(duties(first, second), [true, false])
  first.hang()
  t.mock.timers.tick(5_000)
  assert.deepEqual(duties(second), [true])
  t.mock.timers.tick(20_000)
  assert.deepEqual(duties(second), [true])
})

test('the one on duty alone hears that a server whose checks fail has answered another worker', (t) => {
  const desk = new HealthDesk()
  const [first, second, third] = ['1', '2', '3'].map((name) => addWorker(t, desk, name)) as [
    Worker,
    Worker,
    Worker, // as many as there are names
  ]
  second.team.answered('a')
  assert.deepEqual([first.learned, second.learned, third.learned], [['a answered'], [], []])
})
