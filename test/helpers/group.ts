import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import '../../src/runtime/relative-imports.js'

// Runs the test files named on the command line one after the other in this process, so that they load the router's sources once.
// Each is a separate suite: its hooks apply only to its tests.

// node:test follows each promise to know which test an uncaught exception belongs to, which costs a tenth of the processor time.
// Without these hooks such an exception still fails the run, without the name of its test; run the file alone to get it.
const asyncHooks: typeof import('node:async_hooks') = createRequire(import.meta.url)('node:async_hooks')
const { createHook } = asyncHooks
const followers: import('node:async_hooks').AsyncHook[] = []
asyncHooks.createHook = (callbacks) => {
  const hook = createHook(callbacks)
  followers.push(hook)
  return hook
}
const { describe } = await import('node:test')
asyncHooks.createHook = createHook

const loaded = process.argv.slice(2).map((file) => {
  const { promise, resolve: loads } = Promise.withResolvers<void>()
  describe(file, async () => {
    try {
      await import(pathToFileURL(resolve(file)).href)
    } finally {
      loads()
    }
  })
  return promise
})
await Promise.all(loaded)
for (const follower of followers) follower.disable()
