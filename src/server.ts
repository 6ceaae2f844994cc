import { nodeError } from './runtime/node-floor.js'

// Runs before anything else is loaded: an older Node would fail with an obscure error.
const error = nodeError(process.versions.node)
if (error === undefined) {
  const { serve } = await import('./serve.ts')
  await serve()
} else {
  process.stderr.write(`${error}\n`)
  process.exitCode = 1
}
