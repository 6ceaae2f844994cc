import { parentPort, workerData } from 'node:worker_threads'

/**
 * Tells each turn at its time, to some fifty microseconds; the timers of Node, which count in whole milliseconds, would let
 * five requests begin at once at five thousand a second, and each but the first wait for those before it.
 */
export interface Pace {
  perSecond: number
  durationMs: number
}

const { perSecond, durationMs } = workerData as Pace
const never = new Int32Array(new SharedArrayBuffer(4))
const startedAt = performance.now()
const turns = (perSecond * durationMs) / 1000
for (let turn = 0; turn < turns; turn++) {
  const waitMs = startedAt + (turn * 1000) / perSecond - performance.now()
  if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs)
  parentPort?.postMessage(turn)
}
