#!/usr/bin/env node
// Plain JavaScript, so that a Node.js without TypeScript says what it lacks.
import { nodeFault } from '../src/runtime/node-floor.js'

const fault = nodeFault(process.versions.node)
if (fault === undefined) {
  await import('../src/cli.ts')
} else {
  process.stderr.write(`${fault}\n`)
  process.exitCode = 1
}
