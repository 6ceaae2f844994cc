#!/usr/bin/env node
// Plain JavaScript, so that a Node.js without TypeScript says what it lacks.
import { existsSync } from 'node:fs'

// A checkout runs its sources; the package has compiled ones, because Node.js strips no types below node_modules.
const isCheckout = existsSync(new URL('../src/cli.ts', import.meta.url))
const code = new URL(isCheckout ? '../src/' : '../dist/', import.meta.url)
const floor = new URL('runtime/node-floor.js', code)
const { nodeError } = existsSync(floor) ? await import(floor.href) : { nodeError: notBuilt }

const error = nodeError(process.versions.node)
if (error === undefined) {
  await import(new URL(isCheckout ? 'cli.ts' : 'cli.js', code).href)
} else {
  process.stderr.write(`${error}\n`)
  process.exitCode = 1
}

function notBuilt() {
  return 'this package of llm-router was packed without dist/: pack it with "npm run package"'
}
