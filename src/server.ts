import { nodeFault } from './runtime/node-floor.js'

// Before anything else is loaded: an older Node fails at what it does not know, in its own words.
const fault = nodeFault(process.versions.node)
if (fault === undefined) {
  const { serve } = await import('./serve.ts')
  await serve()
} else {
  process.stderr.write(`${fault}\n`)
  process.exitCode = 1
}
