import asyncHooks from 'node:async_hooks'

/**
 * The test runner follows each asynchronous resource to its test, to name the test of an error that nobody catches. That takes
 * a fifth of the time of tests that run the router in their process, since every promise is registered. Without it such an
 * error still ends the process with an error, but without the name of the test. Must be imported before `node:test`.
 */
const { createHook } = asyncHooks
asyncHooks.createHook = () => {
  const untracked = { enable: () => untracked, disable: () => untracked }
  return untracked
}
await import('node:test')
asyncHooks.createHook = createHook
