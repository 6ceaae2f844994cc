import { appendFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/**
 * Loaded into a program with `--import`: writes how long its event loop was blocked at the longest, in milliseconds, for each
 * tenth of a second, to a file named after its process in the folder that the query `folder` of the import names.
 */
const folder = new URL(import.meta.url).searchParams.get('folder')
const everyMs = 100
/** The clock's own step, which belongs to each delay that it sees. */
const stepMs = 1

if (folder !== null) {
  const delays = monitorEventLoopDelay({ resolution: stepMs })
  delays.enable()
  setInterval(() => {
    const blockedMs = Math.max(0, delays.max / 1e6 - stepMs)
    appendFileSync(`${folder}/${process.pid}`, `${Date.now()} ${blockedMs.toFixed(1)}\n`)
    delays.reset()
  }, everyMs).unref()
}
