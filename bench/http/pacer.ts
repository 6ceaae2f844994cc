import { parentPort, workerData } from 'node:worker_threads'

/**
 * Signals each start at its time, accurate to about fifty microseconds. Node's timers have millisecond resolution: at five
 * thousand requests per second, five would start together, and all but the first would wait.
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
