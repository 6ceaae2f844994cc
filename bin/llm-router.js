#!/usr/bin/env node
// Plain JavaScript, so that a Node.js without TypeScript says what it lacks.
import { nodeError } from '../src/runtime/node-floor.js'

const error = nodeError(process.versions.node)
if (error === undefined) {
  await import('../src/cli.ts')
} else {
  process.stderr.write(`${error}\n`)
  process.exitCode = 1
}
