#!/usr/bin/env node
// Plain JavaScript, so that a Node.js without TypeScript says what it lacks.
import { existsSync } from 'node:fs'

// A checkout runs its sources; the package has compiled ones, because Node.js strips no types below node_modules.
const isCheckout = existsSync(new URL('../src/cli.ts', import.meta.url))
const code = new URL(isCheckout ? '../src/' : '../dist/', import.meta.url)
const { nodeError } = await import(new URL('runtime/node-floor.js', code).href)

const error = nodeError(process.versions.node)
if (error === undefined) {
  await import(new URL(isCheckout ? 'cli.ts' : 'cli.js', code).href)
} else {
  process.stderr.write(`${error}\n`)
  process.exitCode = 1
}
