import { programName } from './cli/command-line.ts'
import { runCli } from './cli/run.ts'

const program = programName(process.argv, process.env.LLM_ROUTER_COMMAND)
// For messages only; the settings know no such variable.
delete process.env.LLM_ROUTER_COMMAND
const code = await runCli(process.argv.slice(2), {
  program,
  env: process.env,
  print: (text) => void process.stdout.write(text),
  printError: (text) => void process.stderr.write(text),
  async serve(env, inUsersWords) {
    Object.assign(process.env, env)
    const { operatorKeyFor, operatorKeyText } = await import('./cli/operator-key.ts')
    // Cluster workers inherit the primary's key through the environment.
    const operatorKey = operatorKeyFor(env)
    if (operatorKey !== undefined) {
      process.env.LLM_ROUTER_ADMIN_KEY = operatorKey
      process.stderr.write(operatorKeyText(operatorKey))
    }
    const { serve } = await import('./serve.ts')
    await serve({ inUsersWords, operatorKey })
  },
})
if (code !== undefined) process.exit(code)
