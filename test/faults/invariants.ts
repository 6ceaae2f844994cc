import assert from 'node:assert/strict'
import { eventually } from '../helpers/eventually.ts'
import type { FaultUpstream } from '../helpers/fault-upstream.ts'
import type { TestRouter } from '../helpers/router.ts'

export interface Asked {
  router: TestRouter
  /** Names of the models that were asked, if requests to others of the router are still running. */
  models?: Record<string, string>
}

/**
 * What holds after every failure, once the clients have their answers: no target is occupied, no upstream
 * request is open, each request has had one log line, and no internal error was logged.
 */
export async function assertNothingLeft(
  { router, models }: Asked,
  upstreams: readonly FaultUpstream[],
  requests: number,
): Promise<void> {
  await Promise.all(upstreams.map((upstream) => upstream.idle()))
  const names = models && new Set(Object.values(models))
  const isOurs = (name: unknown): boolean => names === undefined || names.has(String(name))
  const isRequest = (line: Record<string, unknown>): boolean => line.msg === 'request' && isOurs(line.model)
  const requestLines = () => router.logs.filter(isRequest)
  const inFlight = (): number =>
    router.app.models
      .all()
      .filter(({ alias }) => isOurs(alias))
      .flatMap((model) => router.app.balancer.signals(model))
      .reduce((sum, signals) => sum + signals.inFlight, 0)
  // A request ends after the last byte of its answer.
  for (let lines = requestLines(); lines.length < requests; lines = requestLines()) {
    const known = new Set(lines)
    await router.logged((line) => isRequest(line) && !known.has(line))
  }
  await eventually(() => inFlight() === 0)
  const ids = requestLines().map((line) => line.request_id)
  assert.equal(ids.length, requests)
  assert.equal(new Set(ids).size, requests)
  assert.deepEqual(
    router.logs.filter(({ level }) => Number(level) >= 50),
    [],
  )
}
