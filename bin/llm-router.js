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
  restartWithOptions()
  await import(new URL(isCheckout ? 'cli.ts' : 'cli.js', code).href)
} else {
  process.stderr.write(`${error}\n`)
  process.exitCode = 1
}

function notBuilt() {
  return 'this package of llm-router was packed without dist/: pack it with "npm run package"'
}

/**
 * A server runs with the options that `npm start` passes too; `#!/usr/bin/env` cannot pass them everywhere (BusyBox). The process
 * is replaced, so its id, its signals and its exit code are the same. Where Node cannot do that (Windows), it runs without them.
 */
function restartWithOptions() {
  const options = ['--disable-sigusr1', '--max-semi-space-size=16', '--expose-gc']
  const [command = 'serve'] = process.argv.slice(2)
  const isServer = command === 'serve' || command.startsWith('-')
  if (!isServer || globalThis.gc !== undefined || typeof process.execve !== 'function') return
  const args = [process.execPath, ...options, ...process.execArgv, ...process.argv.slice(1)]
  process.execve(process.execPath, args, process.env)
}
