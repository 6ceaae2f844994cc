import { nodeError } from './runtime/node-floor.js'

// Before anything else is loaded: an older Node fails at what it does not know, in its own words.
const error = nodeError(process.versions.node)
if (error === undefined) {
  const { serve } = await import('./serve.ts')
  await serve()
} else {
  process.stderr.write(`${error}\n`)
  process.exitCode = 1
}
