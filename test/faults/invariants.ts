import assert from 'node:assert/strict'
import type { FaultUpstream } from '../helpers/fault-upstream.ts'
import type { TestRouter } from '../helpers/router.ts'

/**
 * What holds after every fault, once the clients have their answers: no target is taken, no upstream call is open, each
 * request has had one log line, and no bug was met.
 */
export async function assertNothingLeft(
  router: TestRouter,
  upstreams: readonly FaultUpstream[],
  requests: number,
): Promise<void> {
  await Promise.all(upstreams.map((upstream) => upstream.idle()))
  const requestLines = () => router.logs.filter(({ msg }) => msg === 'request')
  const inFlight = (): number =>
    router.app.models
      .all()
      .flatMap((model) => router.app.balancer.signals(model))
      .reduce((sum, signals) => sum + signals.inFlight, 0)
  // The end of a request follows the last byte of its answer.
  while (requestLines().length < requests || inFlight() > 0)
    await new Promise((resolve) => setImmediate(resolve))
  const ids = requestLines().map((line) => line.request_id)
  assert.equal(ids.length, requests)
  assert.equal(new Set(ids).size, requests)
  assert.deepEqual(
    router.logs.filter(({ level }) => Number(level) >= 50),
    [],
  )
}
