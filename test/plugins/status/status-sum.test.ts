import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sumOfStatuses } from '../../../src/plugins/status/status-sum.ts'
import type { Status, TargetStatus } from '../../../src/sdk/console/status.ts'

function target(more: Partial<TargetStatus> = {}): TargetStatus {
  return {
    id: 'box',
    server: 'box',
    type: 'vllm',
    state: 'up',
    breaker: 'closed',
    retry_in_seconds: 0,
    in_flight: 0,
    uses: 0,
    requests_per_minute: 0,
    failed_per_minute: 0,
    failure_rate: 0,
    weight: 1,
    context: 0,
    since: '2026-01-01T00:00:00.000Z',
    last_errors: [],
    ...more,
  }
}

function statusOf(worker: number, targets: TargetStatus[], more: Partial<Status> = {}): Status {
  const state = more.state ?? 'ready'
  return {
    version: '1',
    node: '24',
    uptime_seconds: worker,
    worker,
    strategy: 'balanced',
    started_at: `2026-01-0${worker}T00:00:00.000Z`,
    config: { version: 'v', loaded_at: '2026-01-01T00:00:00.000Z', failed: [] },
    state,
    requests: { finished: 10, failed: 2, client_gone: 1, per_minute: 3, failed_per_minute: 1 },
    models: [{ name: 'm', strategy: 'balanced', waiting: 2, refused_per_minute: 1, panic: false, targets }],
    failures: [],
    workers: [
      {
        worker,
        pid: 100 + worker,
        state,
        uptime_seconds: worker,
        in_flight: 0,
        waiting: 2,
        finished: 10,
        failed: 2,
        memory_bytes: 1,
        config: 'v',
        started_at: '2026-01-01T00:00:00.000Z',
      },
    ],
    ...more,
  }
}

const limits = { errors: 2, failures: 2 }
const sumOf = (first: Status, ...others: Status[]): Status =>
  sumOfStatuses(
    first,
    [first, ...others].map((part) => ({ part, late: false })),
    limits,
  )
const onlyTarget = ({ models }: Status): TargetStatus => models[0]?.targets[0] ?? assert.fail('no target')

test('counts are summed over all processes, each once', () => {
  const sum = sumOf(
    statusOf(1, [target({ in_flight: 1, uses: 5, requests_per_minute: 2 })]),
    statusOf(2, [target({ in_flight: 2, uses: 6, requests_per_minute: 3 })]),
  )
  const { in_flight, uses, requests_per_minute } = onlyTarget(sum)
  assert.deepEqual([in_flight, uses, requests_per_minute, sum.models[0]?.waiting], [3, 11, 5, 4])
  assert.deepEqual(sum.requests, {
    finished: 20,
    failed: 4,
    client_gone: 2,
    per_minute: 6,
    failed_per_minute: 2,
  })
  assert.deepEqual([sum.worker, sum.uptime_seconds, sum.started_at], [1, 2, '2026-01-01T00:00:00.000Z'])
})

test('moving averages are weighted by use, and left out where they are unknown', () => {
  const sum = sumOf(
    statusOf(1, [target({ uses: 1, failure_rate: 1, first_content_ms: 100 })]),
    statusOf(2, [target({ uses: 3, failure_rate: 0, first_content_ms: 200 })]),
    statusOf(3, [target({ uses: 0 })]),
  )
  const { failure_rate: rate, first_content_ms: first, tokens_per_second: speed } = onlyTarget(sum)
  assert.deepEqual([rate, first, speed], [0.25, 175, undefined])
})

test('the state of a target is the worst of all processes', () => {
  const sum = sumOf(
    statusOf(1, [target({ state: 'trial', breaker: 'half_open' })]),
    statusOf(2, [target({ state: 'down', breaker: 'open', retry_in_seconds: 4 })], { state: 'unusable' }),
  )
  const { state, breaker, retry_in_seconds: seconds } = onlyTarget(sum)
  assert.deepEqual([state, breaker, seconds, sum.state], ['down', 'open', 4, 'degraded'])
})

test('the state of the router is that of the processes that are not draining', () => {
  const up = [target()]
  const states = (...each: Status['state'][]): Status['state'] => {
    const [first, ...others] = each.map((state, index) => statusOf(index + 1, up, { state }))
    return sumOf(first ?? assert.fail('no state'), ...others).state
  }
  assert.equal(states('draining', 'ready'), 'ready')
  assert.equal(states('draining', 'draining'), 'draining')
  assert.equal(states('unusable', 'unusable'), 'unusable')
  assert.equal(states('ready', 'unusable'), 'degraded')
  const first = statusOf(1, up)
  const late = sumOfStatuses(first, [{ part: statusOf(2, up), late: true }], limits)
  assert.deepEqual([late.state, late.workers.map(({ state }) => state)], ['degraded', ['ready', 'silent']])
})

test('the latest errors and failures of all processes are kept, newest first', () => {
  const at = (second: number) => `2026-01-01T00:00:0${second}.000Z`
  const error = (second: number) => ({ at: at(second), code: `E${second}`, text: 'in words' })
  const failure = (second: number) => {
    return { at: at(second), model: 'm', status: 502, outcome: 'error', code: `E${second}`, text: '' }
  }
  const sum = sumOf(
    statusOf(1, [target({ last_errors: [error(3), error(1)] })], { failures: [failure(4), failure(1)] }),
    statusOf(2, [target({ last_errors: [error(2)] })], { failures: [failure(2), failure(0)] }),
  )
  assert.deepEqual(
    onlyTarget(sum).last_errors.map(({ code }) => code),
    ['E3', 'E2'],
  )
  assert.deepEqual(
    sum.failures.map(({ code }) => code),
    ['E4', 'E2'],
  )
})

test('a model or a target that only one process has is included', () => {
  const more = {
    models: [
      {
        name: 'n',
        strategy: 'balanced',
        waiting: 0,
        refused_per_minute: 0,
        panic: false,
        targets: [target({ id: 'new' })],
      },
    ],
  }
  const sum = sumOf(statusOf(1, [target()]), statusOf(2, [], more))
  assert.deepEqual(
    sum.models.map(({ name, targets }) => [name, targets.map(({ id }) => id)]),
    [
      ['m', ['box']],
      ['n', ['new']],
    ],
  )
})
