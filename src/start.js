// src/server.ts is a symbolic link to this file. A Node.js that cannot strip types rejects a file by its .ts extension before it runs
// any of it, with a stack trace; through the link it runs this plain JavaScript, and reports its version.
import { nodeError } from './runtime/node-floor.js'

// Before anything else is loaded: an older Node would fail with an obscure error.
const error = nodeError(process.versions.node)
if (error === undefined) {
  // A signal without a listener ends the process. serve.ts adds their effects; loading it takes a while.
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2']) process.on(signal, () => undefined)
  await import('./runtime/relative-imports.js')
  const { serve } = await import('./serve.ts')
  await serve()
} else {
  process.stderr.write(`${error}\n`)
  process.exitCode = 1
}
