// src/cli.ts is a symbolic link to this file, for the reason explained in start.js: a Node.js that cannot strip types reports its
// version instead of a stack trace.
import { nodeError } from './runtime/node-floor.js'

const error = nodeError(process.versions.node)
if (error === undefined) {
  await import('./runtime/relative-imports.js')
  await import('./command.ts')
} else {
  process.stderr.write(`${error}\n`)
  process.exitCode = 1
}
