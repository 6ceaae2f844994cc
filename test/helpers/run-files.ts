import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import '../../src/runtime/relative-imports.js'

// Runs test files one after the other in this process, so that the router's sources are loaded once: those named on the command
// line, or those that scripts/run-tests.ts sends. Each is a suite of its own: its hooks apply only to its tests.

// node:test follows every promise to know which test an uncaught exception belongs to, which costs a tenth of the processor time.
// Without, such an exception still fails the run, but not by the name of its test. A file that is run alone names it.
const asyncHooks: typeof import('node:async_hooks') = createRequire(import.meta.url)('node:async_hooks')
const { createHook } = asyncHooks
asyncHooks.createHook = (callbacks) => {
  const hook = createHook(callbacks)
  hook.enable = () => hook
  return hook
}
const { describe } = await import('node:test')

const files = process.argv.slice(2)
await runFiles(files)
asyncHooks.createHook = createHook

if (process.send && files.length === 0) {
  process.on('message', async (sent: readonly string[]) => {
    await runFiles(sent)
    // The parent disconnects when there are no more files.
    if (process.connected) process.send?.(null)
  })
}

async function runFiles(names: readonly string[]): Promise<void> {
  for (const name of names) await describe(name, () => import(pathToFileURL(resolve(name)).href))
}
