import { runCli } from './cli/run.ts'
import { nodeError } from './runtime/node-floor.js'

const tooOld = nodeError(process.versions.node)
if (tooOld !== undefined) {
  process.stderr.write(`${tooOld}\n`)
  process.exit(1)
}
const code = await runCli(process.argv.slice(2), {
  env: process.env,
  print: (text) => void process.stdout.write(text),
  printError: (text) => void process.stderr.write(text),
  async serve(env) {
    Object.assign(process.env, env)
    const { operatorKeyFor, operatorKeyText } = await import('./cli/operator-key.ts')
    // Cluster workers inherit the primary's key through the environment.
    const operatorKey = operatorKeyFor(env)
    if (operatorKey !== undefined) {
      process.env.LLM_ROUTER_ADMIN_KEY = operatorKey
      process.stderr.write(operatorKeyText(operatorKey))
    }
    const { serve } = await import('./serve.ts')
    await serve()
  },
})
if (code !== undefined) process.exit(code)
