import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import '../../src/runtime/relative-imports.js'
import './untracked-tests.ts'

const { describe } = await import('node:test')

// Runs the test files named on the command line one after the other in this process, so that they load the router's sources once.
// Each is a separate suite: its hooks apply only to its tests.
for (const file of process.argv.slice(2)) {
  describe(file, async () => {
    await import(pathToFileURL(resolve(file)).href)
  })
}
