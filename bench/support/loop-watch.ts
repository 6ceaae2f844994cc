import { appendFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/**
 * Loaded into a program with `--import`: writes the longest time that its event loop was blocked, in milliseconds, for each
 * tenth of a second, to a file named after its process id in the folder given by the import's query parameter `folder`.
 */
const folder = new URL(import.meta.url).searchParams.get('folder')
const everyMs = 100
/** The resolution of the clock, which is included in each delay that it measures. */
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
