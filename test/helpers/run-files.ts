import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import '../../src/runtime/relative-imports.js'

// Runs test files one after the other in this process, so that the router's sources are loaded once: those named on the command
// line, or those that scripts/run-tests.ts sends. Each is a suite of its own: its hooks apply only to its tests.

// node:test tracks every promise, to know in which suite a test is declared, and which test an uncaught exception belongs to. That
// costs a tenth of the processor time, so it is only done while a file loads. An exception that no test catches then still fails
// the run, but not by the name of its test. A file that is run alone names it.
const asyncHooks: typeof import('node:async_hooks') = createRequire(import.meta.url)('node:async_hooks')
const { createHook } = asyncHooks
const trackers: import('node:async_hooks').AsyncHook[] = []
asyncHooks.createHook = (callbacks) => {
  const hook = createHook(callbacks)
  trackers.push(hook)
  return hook
}
const { describe } = await import('node:test')
asyncHooks.createHook = createHook

/** How long the process may keep running after its last file, in milliseconds. */
const leftOpenMs = 10_000
const files = process.argv.slice(2)
await runFiles(files)
if (files.length > 0) setTimeout(end, leftOpenMs).unref()

if (process.send && files.length === 0) {
  process.on('message', async (sent: readonly string[]) => {
    await runFiles(sent)
    // The parent disconnects when there are no more files.
    if (process.connected) process.send?.(null)
  })
  process.on('disconnect', () => setTimeout(end, leftOpenMs).unref())
}

/** Ends the process although a test has left something open. Otherwise the results of all its files would be lost. */
function end(): void {
  console.error(`left open by a test: ${process.getActiveResourcesInfo().join(', ')}`)
  process.on('exit', () => {
    process.exitCode = 1
  })
  // This makes node:test print its summary.
  process.emit('beforeExit', 1)
  setTimeout(process.exit, 1_000)
}

async function runFiles(names: readonly string[]): Promise<void> {
  for (const name of names) {
    for (const tracker of trackers) tracker.enable()
    await describe(name, async () => {
      try {
        await import(pathToFileURL(resolve(name)).href)
      } finally {
        for (const tracker of trackers) tracker.disable()
      }
    })
  }
}
